/** The agent's statements, as the login of a host, against a real Postgres. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../../db/client.ts';
import { newId } from '../../../db/ids.ts';
import type { AgentSql, Holder } from '../../../db/queries/agent-statement.ts';
import { appendEvents } from '../../../db/queries/append-events.ts';
import { type ClaimedRow, claimIntent } from '../../../db/queries/claim-intent.ts';
import { finishIntent } from '../../../db/queries/finish-intent.ts';
import { holdHost } from '../../../db/queries/hold-host.ts';
import { isStillOurs } from '../../../db/queries/is-still-ours.ts';
import { markCommitted } from '../../../db/queries/mark-committed.ts';
import { markSnapshotDeleted } from '../../../db/queries/mark-snapshot-deleted.ts';
import { ownHostId } from '../../../db/queries/own-host-id.ts';
import { readoptIntents } from '../../../db/queries/readopt-intents.ts';
import { registerSnapshot, registerSnapshotVolumes } from '../../../db/queries/register-snapshot.ts';
import { renewLease } from '../../../db/queries/renew-lease.ts';
import { reportContainers } from '../../../db/queries/report-containers.ts';
import { startIntent } from '../../../db/queries/start-intent.ts';
import { touchHost } from '../../../db/queries/touch-host.ts';
import { updateProgress } from '../../../db/queries/update-progress.ts';
import type { Outcome, SnapshotRecord } from '../../../db/results.ts';
import { enrolledHost, type TestHost } from '../../helpers/host.ts';
import { type TestDatabase, testDatabase } from '../../helpers/postgres.ts';

let database: TestDatabase;
let host: TestHost;
let agent: Connection;
let sql: AgentSql;
const instance = newId();
const identity = { instance, bootId: 'boot/ns/1/1', version: '0' };
const DONE: Outcome = { state: 'succeeded', result: { bytes: 1 }, error: null };

before(async () => {
  database = await testDatabase();
  host = await enrolledHost(database);
  agent = connect(host.url, { max: 20, fetchTypes: false, prepare: false });
  sql = agent.sql;
  assert.ok(await holdHost(sql, host.id, identity, null));
});
after(async () => {
  await agent.close();
});

async function claimed(
  kind: 'capture' | 'restore' | 'delete' = 'capture',
  snapshotId?: string,
  workloadId?: string,
): Promise<ClaimedRow & { holder: Holder; stale: Holder }> {
  const id = await host.addIntent(
    kind,
    workloadId ?? (await host.addWorkload()),
    snapshotId === undefined ? {} : { snapshotId },
  );
  const row = await claimIntent(sql, host.id, instance);
  assert.equal(row?.id, id);
  const holder = { intentId: id, hostId: host.id, leaseEpoch: row.leaseEpoch };
  return { ...row, holder, stale: { ...holder, leaseEpoch: row.leaseEpoch - 1 } };
}

function record(row: ClaimedRow, more: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return {
    id: newId(),
    workloadId: row.workloadId,
    intentId: row.id,
    kind: 'capture',
    manifestSha256: 'a'.repeat(64),
    image: 'i',
    imageId: 'sha256:1',
    capturedAt: new Date().toISOString(),
    protectedUntil: null,
    volumes: [
      {
        name: 'data',
        scope: 'project',
        archiveSha256: 'b'.repeat(64),
        archiveBytes: 2 ** 40,
        contentBytes: 2,
        entries: 3,
        skipped: 4,
      },
    ],
    ...more,
  };
}

describe('claim', () => {
  test('many claimers at once: every intent is claimed once, oldest first, and none is left', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 60; n++) ids.push(await host.addIntent('capture', await host.addWorkload()));
    const got: string[] = [];
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        for (
          let row = await claimIntent(sql, host.id, instance);
          row !== null;
          row = await claimIntent(sql, host.id, instance)
        )
          got.push(row.id);
      }),
    );
    assert.deepEqual([...got].sort(), [...ids].sort());
    const one = await host.addIntent('verify', await host.addWorkload());
    const two = await host.addIntent('verify', await host.addWorkload());
    assert.equal((await claimIntent(sql, host.id, instance))?.id, one);
    assert.equal((await claimIntent(sql, host.id, instance))?.id, two);
  });

  test('a second intent of a workload waits until the first one is over', async () => {
    const workloadId = await host.addWorkload();
    const first = await claimed('capture', undefined, workloadId);
    const plan = await host.addIntent('plan', workloadId);
    assert.equal(await claimIntent(sql, host.id, instance), null);
    assert.equal(await finishIntent(sql, first.holder, DONE), 'finished');
    assert.equal((await claimIntent(sql, host.id, instance))?.id, plan);
    const restore = await host.addIntent('restore', workloadId);
    assert.equal((await claimIntent(sql, host.id, instance))?.id, restore, 'it waited for a plan');
    await host.addIntent('plan', workloadId);
    assert.equal(await claimIntent(sql, host.id, instance), null);
  });

  test("another host's intent is neither claimed nor changed, and its rows are not even seen", async () => {
    const other = await enrolledHost(database);
    const id = await other.addIntent('capture', await other.addWorkload());
    assert.equal(await claimIntent(sql, host.id, instance), null);
    assert.equal(await claimIntent(sql, other.id, instance), null);
    assert.equal((await sql`select from intents where id = ${id}`).length, 0);
    assert.equal((await sql`update intents set state = 'claimed' where id = ${id} returning id`).length, 0);
    assert.equal(await ownHostId(sql), host.id);
  });

  test('an agent that another one replaced claims nothing and takes nothing up', async () => {
    const workloadId = await host.addWorkload();
    await host.addIntent('capture', workloadId);
    assert.equal(await claimIntent(sql, host.id, newId()), null);
    assert.equal((await readoptIntents(sql, host.id, newId())).length, 0);
    assert.equal((await claimIntent(sql, host.id, instance))?.workloadId, workloadId);
  });

  test('only the claim does not wait for the disk of Postgres; what comes next does', async () => {
    await host.addIntent('capture', await host.addWorkload());
    const { sql: session } = connect(host.url, { max: 1 });
    try {
      await session`set synchronous_commit = on`;
      assert.ok((await claimIntent(session, host.id, instance)) !== null);
      const [row] = await session`select current_setting('synchronous_commit') as waits`;
      assert.equal(row?.['waits'], 'on');
    } finally {
      await session.end();
    }
  });

  test('the claim brings the configuration, the snapshot, and what an undo takes back', async () => {
    const restore = await claimed('restore');
    const pre = record(restore, { kind: 'pre-restore', protectedUntil: '2030-01-01T00:00:00.000Z' });
    assert.ok(
      await agent.sql.begin(async (tx) => {
        const held = await registerSnapshot(tx, restore.holder, pre);
        await registerSnapshotVolumes(tx, restore.holder, pre);
        return held;
      }),
    );
    await finishIntent(sql, restore.holder, DONE);
    const undo = await host.addIntent('undo', restore.workloadId, { undoOf: restore.id });
    const row = await claimIntent(sql, host.id, instance);
    assert.equal(row?.id, undo);
    assert.equal(row.undoOf, restore.id);
    assert.equal(row.preRestoreSnapshot?.id, pre.id);
    assert.equal(row.preRestoreSnapshot?.manifestSha256, pre.manifestSha256);
    assert.equal(Date.parse(row.preRestoreSnapshot?.protectedUntil ?? ''), Date.parse('2030-01-01T00:00:00Z'));
    assert.equal((row.config as { project: string }).project, 'p');
    await finishIntent(sql, { intentId: undo, hostId: host.id, leaseEpoch: row.leaseEpoch }, DONE);
    const verify = await host.addIntent('verify', restore.workloadId, { snapshotId: pre.id });
    const second = await claimIntent(sql, host.id, instance);
    assert.equal(second?.id, verify);
    assert.equal(second.snapshot?.kind, 'pre-restore');
  });
});

describe('the epoch fences a stale holder out', () => {
  test('start', async () => {
    const { id, holder, stale } = await claimed();
    assert.equal(await startIntent(sql, stale), false);
    assert.equal((await host.intent(id)).state, 'claimed');
    assert.equal(await startIntent(sql, holder), true);
    assert.equal((await host.intent(id)).state, 'running');
  });

  test('renewing the lease', async () => {
    const { id, holder, stale } = await claimed();
    await database.sql`update intents set lease_until = now() + interval '1 second' where id = ${id}`;
    assert.equal(await renewLease(sql, stale), null);
    assert.ok(((await host.intent(id)).leaseLeftSeconds ?? 0) < 2);
    assert.deepEqual(await renewLease(sql, holder), { cancelRequested: false, expired: false });
    assert.ok(((await host.intent(id)).leaseLeftSeconds ?? 0) > 50);
  });

  test('events, which arrive once however often they are sent', async () => {
    const { id, holder, stale } = await claimed();
    const events = [1, 2].map((seq) => ({
      seq,
      at: new Date().toISOString(),
      type: 'warning' as const,
      data: { message: `nul \0 and lone \ud800 ${seq}` },
    }));
    assert.equal(await appendEvents(sql, stale, events), false);
    assert.deepEqual(await host.events(id), []);
    assert.equal(await appendEvents(sql, holder, events), true);
    assert.equal(await appendEvents(sql, holder, events), true);
    assert.deepEqual(
      (await host.events(id)).map((event) => event.seq),
      [1, 2],
    );
  });

  test('progress', async () => {
    const { id, holder, stale } = await claimed();
    const progress = { bytesDone: 1, bytesTotal: 2, entriesDone: 3 };
    assert.equal(await updateProgress(sql, stale, 'stage', progress), false);
    assert.equal((await host.intent(id)).progress, null);
    assert.equal(await updateProgress(sql, holder, 'stage', progress), true);
    assert.deepEqual((await host.intent(id)).progress, progress);
  });

  test('the commit point', async () => {
    const { id, holder, stale } = await claimed('restore');
    assert.equal(await markCommitted(sql, stale), 'lost');
    assert.equal((await host.intent(id)).committed, false);
    assert.equal(await markCommitted(sql, holder), 'committed');
    assert.equal((await host.intent(id)).committed, true);
  });

  test('a claim that Postgres has forgotten is still ours, until somebody else has the intent or it is over', async () => {
    const { id, holder, stale } = await claimed();
    assert.deepEqual([await isStillOurs(sql, holder), await isStillOurs(sql, stale)], [true, false]);
    const forgotten = await host.addIntent('verify', await host.addWorkload());
    assert.equal(await isStillOurs(sql, { ...holder, intentId: forgotten }), true, 'pending, with an older epoch');
    assert.equal(await isStillOurs(sql, { ...holder, intentId: forgotten, leaseEpoch: 0 }), false);
    await database.sql`delete from intents where id = ${forgotten}`;
    await finishIntent(sql, holder, DONE);
    assert.equal(await isStillOurs(sql, holder), false);
    assert.equal((await host.intent(id)).state, DONE.state);
  });

  test('the outcome, which the holder may repeat', async () => {
    const { id, holder, stale } = await claimed();
    assert.equal(await finishIntent(sql, stale, DONE), 'lost');
    assert.equal((await host.intent(id)).state, 'claimed');
    assert.equal(await finishIntent(sql, holder, DONE), 'finished');
    assert.equal(await finishIntent(sql, holder, DONE), 'already');
    assert.equal(await finishIntent(sql, stale, DONE), 'lost');
    assert.equal(await finishIntent(sql, holder, { ...DONE, state: 'failed' }), 'lost');
    assert.equal((await host.intent(id)).state, 'succeeded');
  });

  test('snapshots, which are registered once', async () => {
    const row = await claimed();
    const snapshot = record(row);
    assert.equal(await registerSnapshot(sql, row.stale, snapshot), false);
    for (let again = 0; again < 2; again++) {
      assert.equal(await registerSnapshot(sql, row.holder, snapshot), true);
      await registerSnapshotVolumes(sql, row.holder, snapshot);
    }
    const volumes =
      await database.sql`select archive_bytes::text as bytes from snapshot_volumes where snapshot_id = ${snapshot.id}`;
    assert.deepEqual(
      volumes.map((volume) => volume['bytes']),
      [String(2 ** 40)],
    );
  });

  test('deleting a snapshot, and only the one that the intent is about', async () => {
    const capture = await claimed();
    const [snapshot, other] = [record(capture), record(capture)];
    await registerSnapshot(sql, capture.holder, snapshot);
    await registerSnapshot(sql, capture.holder, other);
    await finishIntent(sql, capture.holder, DONE);
    const row = await claimed('delete', snapshot.id, capture.workloadId);
    assert.equal(await markSnapshotDeleted(sql, row.stale, snapshot.id), false);
    assert.equal(await markSnapshotDeleted(sql, row.holder, other.id), false);
    assert.equal(await markSnapshotDeleted(sql, row.holder, snapshot.id), true);
    const states =
      await database.sql`select id, state from snapshots where id in (${snapshot.id}, ${other.id}) order by state`;
    assert.deepEqual(
      states.map((one) => [one['id'], one['state']]),
      [
        [other.id, 'complete'],
        [snapshot.id, 'deleted'],
      ],
    );
  });

  test('an agent that was started again fences out what its predecessor still sends', async () => {
    const row = await claimed();
    const readopted = (await readoptIntents(sql, host.id, instance)).find((one) => one.id === row.id);
    assert.equal(readopted?.leaseEpoch, row.leaseEpoch + 1);
    assert.equal(readopted.attempts, 2);
    assert.equal(await finishIntent(sql, row.holder, DONE), 'lost');
    assert.equal(await finishIntent(sql, { ...row.holder, leaseEpoch: readopted.leaseEpoch }, DONE), 'finished');
  });
});

describe('the commit point', () => {
  test('a cancel before it wins, and a cancel after it is refused', async () => {
    const before = await claimed('restore');
    await database.sql`update intents set cancel_requested_at = now() where id = ${before.id}`;
    assert.equal(await markCommitted(sql, before.holder), 'cancelled');
    assert.equal((await host.intent(before.id)).committed, false);
    const late = await claimed('restore');
    assert.equal(await markCommitted(sql, late.holder), 'committed');
    const refused =
      await database.sql`update intents set cancel_requested_at = now() where id = ${late.id} and committed_at is null returning id`;
    assert.equal(refused.length, 0);
    assert.equal(await markCommitted(sql, late.holder), 'committed');
  });

  test('a cancel that is on its way is waited for, never overlooked', async () => {
    const row = await claimed('restore');
    let answer: Promise<string> | undefined;
    await database.sql.begin(async (tx) => {
      await tx`update intents set cancel_requested_at = now() where id = ${row.id} and committed_at is null`;
      answer = markCommitted(sql, row.holder);
      // Only once it waits for the row is the cancel committed.
      for (let waiting = 0; waiting === 0; )
        waiting = Number((await tx`select count(*) as n from pg_locks where not granted`)[0]?.['n']);
    });
    assert.equal(await answer, 'cancelled');
  });

  test('what waited for its turn beyond not_after is not started; what runs goes on', async () => {
    const { id, holder } = await claimed();
    const over = () => database.sql`update intents set not_after = now() - interval '1 second' where id = ${id}`;
    await database.sql`update intents set not_after = now() + interval '1 hour' where id = ${id}`;
    assert.deepEqual(await renewLease(sql, holder), { cancelRequested: false, expired: false });
    await over();
    assert.equal(await startIntent(sql, holder), false);
    assert.deepEqual(await renewLease(sql, holder), { cancelRequested: false, expired: true });
    await database.sql`update intents set not_after = null where id = ${id}`;
    assert.equal(await startIntent(sql, holder), true);
    await over();
    assert.equal(await startIntent(sql, holder), true);
  });

  test('past not_after, and with too little of the lease left, it is refused', async () => {
    const expired = await claimed('restore');
    await database.sql`update intents set not_after = now() - interval '1 second' where id = ${expired.id}`;
    assert.equal(await markCommitted(sql, expired.holder), 'expired');
    const short = await claimed('restore');
    await database.sql`update intents set lease_until = now() + interval '5 seconds' where id = ${short.id}`;
    assert.equal(await markCommitted(sql, short.holder), 'lease_short');
    await renewLease(sql, short.holder);
    assert.equal(await markCommitted(sql, short.holder), 'committed');
  });
});

describe('who holds a host', () => {
  test('a live holder is not replaced; a silent, a released and a dead one is', async () => {
    const own = await enrolledHost(database);
    const mine = connect(own.url, { max: 1, fetchTypes: false, prepare: false });
    try {
      const [first, second] = [newId(), newId()];
      const as = (id: string) => ({ instance: id, bootId: 'b/n/1/1', version: '0' });
      assert.equal(await holdHost(mine.sql, own.id, as(first), null), true);
      assert.equal(await holdHost(mine.sql, own.id, as(second), null), false);
      assert.equal(await touchHost(mine.sql, own.id, second, null), false);
      assert.equal(await holdHost(mine.sql, own.id, as(second), first), true);
      assert.equal(await touchHost(mine.sql, own.id, first, null), false);
      assert.equal(await reportContainers(mine.sql, own.id, first, []), false);
      await database.sql`update hosts set agent_seen_at = now() - interval '61 seconds' where id = ${own.id}`;
      assert.equal(await holdHost(mine.sql, own.id, as(first), null), true);
      await database.sql`update hosts set revoked_at = now() where id = ${own.id}`;
      assert.equal(await touchHost(mine.sql, own.id, first, null), false);
    } finally {
      await mine.close();
    }
  });

  test('the inventory is replaced as a whole', async () => {
    const one = {
      containerId: 'c1',
      workloadId: newId(),
      name: 'n',
      image: 'i',
      imageId: 'x',
      state: 'running',
      health: null,
      restartPolicy: 'no',
      startedAt: null,
      configuration: null,
    };
    assert.equal(await reportContainers(sql, host.id, instance, [one, { ...one, containerId: 'c2' }]), true);
    assert.equal(
      await reportContainers(sql, host.id, instance, [{ ...one, containerId: 'c2', state: 'exited' }]),
      true,
    );
    const rows = await database.sql`select container_id, state from containers where host_id = ${host.id}`;
    assert.deepEqual(
      rows.map((row) => [row['container_id'], row['state']]),
      [['c2', 'exited']],
    );
  });
});
