/** The running agent against a real Postgres: waking up, working side by side, being cancelled, drained, killed and doubled. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { enrollHost } from '../../../db/queries/enroll-host.ts';
import { requestCancel } from '../../../db/queries/request-cancel.ts';
import { randomSecret, scramVerifier } from '../../../functions/auth/secrets.ts';
import { type AgentPlace, agentCommand, agentPlace, startAgent } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type TestHost, waitFor } from '../../helpers/host.ts';
import { type HostWorkload, hostWorkload, WAIT_FOR_GO } from '../../helpers/host-workload.ts';
import { startPooler } from '../../helpers/pooler.ts';
import { testDatabase } from '../../helpers/postgres.ts';

const docker = await testEngine();
const database = await testDatabase();
afterEach(() => docker.removeAll());

async function freshHost(
  via: (url: string) => Promise<string> = async (url) => url,
): Promise<{ host: TestHost; place: AgentPlace }> {
  const host = await enrolledHost(database);
  const place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: await via(host.url) });
  return { host, place };
}

const waiting = (workload: HostWorkload) => waitFor(() => existsSync(join(workload.live, 'waiting')), Boolean);
const go = (workload: HostWorkload) => writeFileSync(join(workload.live, 'go'), '');
const heldHook = { hooks: { beforeCapture: WAIT_FOR_GO }, capture: { freeze: 'live' as const } };

describe('waking up', () => {
  test('a notification starts the work long before the next poll', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workloadId = await host.addWorkload();
    // Once it is known that notifications arrive, the agent polls every 7.5 s at the earliest.
    await waitFor(
      () => agent.stderr(),
      (text) => text.includes('notifications arrive'),
    );
    const began = performance.now();
    const row = await host.ended(await host.addIntent('verify', workloadId));
    assert.ok(performance.now() - began < 2000, `took ${performance.now() - began} ms`);
    assert.equal(row.error?.code, 'SNAPSHOT_NOT_FOUND');
    await agent.drain();
  });

  test('behind a pooler that loses notifications, the poll finds the work', async () => {
    const { host, place } = await freshHost(async (url) => (await startPooler(url, { losesNotifications: true })).url);
    const agent = await startAgent(place.env);
    const row = await host.ended(await host.addIntent('verify', await host.addWorkload()), 10_000);
    assert.equal(row.state, 'failed');
    await agent.drain();
  });

  test('a network that swallows every packet is survived', async () => {
    let pooler: Awaited<ReturnType<typeof startPooler>> | undefined;
    const { host, place } = await freshHost(async (url) => {
      pooler = await startPooler(url);
      return pooler.url;
    });
    const agent = await startAgent(place.env);
    pooler?.swallow(true);
    const id = await host.addIntent('verify', await host.addWorkload());
    await waitFor(
      () => agent.stderr(),
      (text) => text.includes('no answer in time'),
      40_000,
    );
    pooler?.swallow(false);
    assert.equal((await host.ended(id, 60_000)).state, 'failed');
    await agent.drain();
  });
});

test('an intent whose claim was committed and never answered is taken up by the same agent', async () => {
  let pooler: Awaited<ReturnType<typeof startPooler>> | undefined;
  const { host, place } = await freshHost(async (url) => {
    pooler = await startPooler(url, { losesNotifications: true });
    return pooler.url;
  });
  const agent = await startAgent(place.env);
  const workloadId = await host.addWorkload();
  // Of the workload, too, so that the answer is known before the intent has an id.
  pooler?.loseAnswer(workloadId);
  const row = await host.ended(await host.addIntent('verify', workloadId), 30_000);
  assert.deepEqual([row.state, row.error?.code, row.attempts], ['failed', 'SNAPSHOT_NOT_FOUND', 2]);
  assert.match(agent.stderr(), /claimed without an answer/);
  await agent.drain();
});

describe('working', () => {
  test('two workloads side by side, one workload one at a time', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const [a, b] = [
      await hostWorkload(docker, host, place, heldHook),
      await hostWorkload(docker, host, place, heldHook),
    ];
    const first = await host.addIntent('capture', a.id);
    const second = await host.addIntent('capture', b.id);
    await Promise.all([waiting(a), waiting(b)]);
    const verify = await host.addIntent('verify', a.id);
    assert.deepEqual([(await host.intent(first)).state, (await host.intent(second)).state], ['running', 'running']);
    go(b);
    assert.equal((await host.ended(second)).state, 'succeeded');
    assert.equal((await host.intent(verify)).state, 'pending');
    go(a);
    assert.equal((await host.ended(first)).state, 'succeeded');
    assert.equal((await host.ended(verify)).state, 'failed');
    await agent.drain();
  });

  test('a cancel before the commit point takes everything back', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workload = await hostWorkload(docker, host, place, heldHook);
    const id = await host.addIntent('capture', workload.id);
    await waiting(workload);
    await database.sql`update intents set cancel_requested_at = now() where id = ${id}`;
    await waitFor(
      () => agent.stderr(),
      (text) => text.includes('cancel requested'),
    );
    go(workload);
    const row = await host.ended(id);
    assert.equal(row.state, 'cancelled');
    assert.equal(row.error?.code, 'CANCELLED');
    assert.equal(existsSync(join(place.stateDir, 'snapshots')), false);
    await agent.drain();
  });

  /** A restore whose containers take their whole time-out to stop, as it stops them. */
  async function restoreWhileStopping(agentHost: TestHost, place: AgentPlace, notAfter?: string) {
    const workload = await hostWorkload(docker, agentHost, place, {
      command: ['sh', '-c', 'trap "" TERM; while :; do sleep 0.05; done'],
      stopTimeoutSeconds: 4,
      capture: { freeze: 'live' },
    });
    const captured = await agentHost.ended(await agentHost.addIntent('capture', workload.id));
    assert.equal(captured.state, 'succeeded', JSON.stringify(captured.error));
    writeFileSync(join(workload.live, 'file'), 'changed');
    const snapshotId = captured.result?.snapshotId ?? '';
    const id = await agentHost.addIntent('restore', workload.id, {
      snapshotId,
      ...(notAfter === undefined ? {} : { notAfter }),
    });
    await agentHost.until(id, ({ step }) => step === 'quiesce');
    return { id, workload };
  }

  async function assertAsBefore({ live, containers }: HostWorkload): Promise<void> {
    assert.equal(readFileSync(join(live, 'file'), 'utf8'), 'changed');
    for (const container of containers) assert.equal((await docker.engine.inspect(container))?.state, 'running');
  }

  test('a cancel while the containers stop is before the commit point: all is taken back', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const { id, workload } = await restoreWhileStopping(host, place);
    const accepted = await requestCancel(database.db, id);
    assert.notEqual(accepted, null, 'nothing was exchanged yet');
    const row = await host.ended(id);
    assert.deepEqual([row.state, row.error?.code, row.committed], ['cancelled', 'CANCELLED', false]);
    await assertAsBefore(workload);
    await agent.drain();
  });

  test('a restore whose not_after passes while the containers stop does not commit', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const { id, workload } = await restoreWhileStopping(host, place, new Date(Date.now() + 3_600_000).toISOString());
    await database.sql`update intents set not_after = now() - interval '1 second' where id = ${id}`;
    const row = await host.ended(id);
    assert.deepEqual([row.state, row.error?.code, row.committed], ['rolled_back', 'EXPIRED', false]);
    await assertAsBefore(workload);
    await agent.drain();
  });

  test('what cannot be spooled is refused, and what comes when there is room again is done', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workload = await hostWorkload(docker, host, place, { capture: { freeze: 'live' } });
    const spool = join(place.stateDir, 'spool');
    if (existsSync(spool)) renameSync(spool, `${spool}.aside`);
    writeFileSync(spool, 'in the way');
    const refused = await host.ended(await host.addIntent('capture', workload.id));
    assert.deepEqual([refused.state, refused.error?.code], ['failed', 'FILE_SYSTEM_FAILED']);
    rmSync(spool);
    assert.equal((await host.ended(await host.addIntent('capture', workload.id))).state, 'succeeded');
    await agent.drain();
  });

  test('what is past its not_after is refused before it begins', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const id = await host.addIntent('capture', await host.addWorkload(), { notAfter: '2020-01-01' });
    const row = await host.ended(id);
    assert.deepEqual([row.state, row.error?.code], ['failed', 'EXPIRED']);
    assert.equal(existsSync(join(place.stateDir, 'journal', `${id}.jsonl`)), false);
    await agent.drain();
  });

  test('a configuration that the agent does not understand fails the intent, not the agent', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workloadId = await host.addWorkload();
    await database.sql`update workloads set config = jsonb_set(config, '{volumes,0,source}', '"../../etc"') where id = ${workloadId}`;
    const row = await host.ended(await host.addIntent('capture', workloadId));
    assert.deepEqual([row.state, row.error?.code], ['failed', 'VALIDATION_FAILED']);
    await agent.drain();
  });

  test('an intent that a failover forgot gets its recorded result, and its snapshot is registered again', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workload = await hostWorkload(docker, host, place);
    const id = await host.addIntent('capture', workload.id);
    const before = await host.ended(id);
    assert.equal(before.state, 'succeeded', JSON.stringify(before.error));
    const snapshots = readdirSync(join(place.stateDir, 'snapshots'));
    // The database is put back to a moment before the agent had claimed it.
    await database.sql.begin(async (sql) => {
      await sql`delete from snapshot_volumes where host_id = ${host.id}`;
      await sql`delete from snapshots where host_id = ${host.id}`;
      await sql`delete from intent_events where host_id = ${host.id}`;
      await sql`delete from intents where id = ${id}`;
      await sql`insert into intents (id, kind, workload_id, host_id, requested_by) values (${id}, 'capture', ${workload.id}, ${host.id}, 'test')`;
    });
    const again = await host.ended(id);
    assert.deepEqual(again.result, before.result);
    assert.deepEqual(readdirSync(join(place.stateDir, 'snapshots')), snapshots);
    const rows =
      await database.sql`select s.id, count(v.*)::int as volumes from snapshots s join snapshot_volumes v on v.snapshot_id = s.id where s.intent_id = ${id} group by s.id`;
    assert.deepEqual(
      rows.map((row) => [row['id'], row['volumes']]),
      [[before.result?.snapshotId, 1]],
    );
    await agent.drain();
  });

  test('an intent that Postgres forgot while it ran goes on, and is not begun beside itself', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workload = await hostWorkload(docker, host, place, heldHook);
    const id = await host.addIntent('capture', workload.id);
    await waiting(workload);
    // Postgres crashed before the claim was on its disk.
    await database.sql.begin(async (sql) => {
      await sql`delete from intent_events where host_id = ${host.id}`;
      await sql`delete from intents where id = ${id}`;
      await sql`insert into intents (id, kind, workload_id, host_id, requested_by) values (${id}, 'capture', ${workload.id}, ${host.id}, 'test')`;
    });
    go(workload);
    const row = await host.ended(id);
    assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
    assert.equal(agent.stderr().split('"msg":"begins"').length - 1, 1);
    await agent.drain();
  });
});

describe('ending', () => {
  test('SIGTERM: nothing more is claimed, what runs comes to its end, the host is let go', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const workload = await hostWorkload(docker, host, place, heldHook);
    const id = await host.addIntent('capture', workload.id);
    await waiting(workload);
    agent.kill('SIGTERM');
    await waitFor(
      () => agent.stderr(),
      (text) => text.includes('draining'),
    );
    const late = await host.addIntent('verify', await host.addWorkload());
    go(workload);
    const ended = await agent.ended;
    assert.deepEqual([ended.code, ended.json?.['ok'], ended.json?.['ended']], [0, true, 'SIGTERM']);
    assert.equal((await host.intent(id)).state, 'succeeded');
    assert.equal((await host.intent(late)).state, 'pending');
    const [row] = await database.sql`select agent_instance from hosts where id = ${host.id}`;
    assert.equal(row?.['agent_instance'], null);
  });

  test('killed while containers are frozen: the next start brings them back and says so', async () => {
    const { host, place } = await freshHost();
    const workload = await hostWorkload(docker, host, place, { capture: { freeze: 'pause' }, restart: 'always' });
    const killed = await startAgent({ ...place.env, REFLOAT_CRASH_AT: 'journal-after:done:freeze#1' });
    const id = await host.addIntent('capture', workload.id);
    await killed.crashed();
    assert.equal((await docker.engine.inspect(workload.containers[0] ?? ''))?.state, 'paused');
    const agent = await startAgent(place.env);
    const row = await host.ended(id);
    assert.deepEqual([row.state, row.error?.code], ['rolled_back', 'INTERRUPTED']);
    assert.equal((await docker.engine.inspect(workload.containers[0] ?? ''))?.state, 'running');
    const seqs = (await host.events(id)).map((event) => event.seq);
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index + 1),
    );
    await agent.drain();
  });

  test('killed in an intent without a journal: the next start runs it again', async () => {
    const { host, place } = await freshHost();
    const workload = await hostWorkload(docker, host, place);
    const first = await startAgent(place.env);
    const capture = await host.ended(await host.addIntent('capture', workload.id));
    await first.drain();
    const killed = await startAgent({ ...place.env, REFLOAT_CRASH_AT: 'deliver-before:event#1' });
    const id = await host.addIntent('verify', workload.id, { snapshotId: capture.result?.snapshotId ?? '' });
    await killed.crashed();
    const agent = await startAgent(place.env);
    const row = await host.ended(id);
    assert.deepEqual([row.state, row.attempts], ['succeeded', 2]);
    await agent.drain();
  });
});

describe('two agents', () => {
  test('on one state directory: the second one, and a recovery, name the process that holds it', async () => {
    const { place } = await freshHost();
    const agent = await startAgent(place.env);
    for (const command of ['run', 'recover']) {
      const second = await agentCommand([command, '--json'], place.env);
      assert.equal(second.code, 2);
      const error = second.json?.['error'] as { code: string; message: string };
      assert.equal(error.code, 'AGENT_RUNNING');
      assert.match(error.message, new RegExp(`process ${agent.pid}, since \\d{4}-`));
    }
    await agent.drain();
  });

  test('as one host from two state directories: the second one is refused while the first one lives', async () => {
    const { host, place } = await freshHost();
    const agent = await startAgent(place.env);
    const elsewhere = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: host.url });
    const second = await agentCommand(['run', '--json'], elsewhere.env);
    assert.deepEqual(
      [second.code, (second.json?.['error'] as { code: string } | undefined)?.code],
      [2, 'AGENT_RUNNING'],
    );
    assert.equal((await host.ended(await host.addIntent('verify', await host.addWorkload()))).state, 'failed');
    await agent.drain();
  });

  test('one that was killed is replaced at once', async () => {
    const { place } = await freshHost();
    const killed = await startAgent(place.env);
    killed.kill('SIGKILL');
    await killed.ended;
    const began = performance.now();
    const agent = await startAgent(place.env);
    assert.ok(performance.now() - began < 15_000);
    await agent.drain();
  });

  test('after a reboot within seconds of its last sign of life the host is taken at once', async () => {
    const { host, place } = await freshHost();
    const killed = await startAgent(place.env);
    killed.kill('SIGKILL');
    await killed.ended;
    // The machine is booted again: what a test cannot do is done to the record of it.
    await database.sql`update hosts set agent_boot_id = regexp_replace(agent_boot_id, '^[^/]*', 'earlier-boot'), agent_seen_at = now()
      where id = ${host.id}`;
    const agent = await startAgent(place.env);
    assert.ok(!agent.stderr().includes('waiting up to'), 'it did not wait');
    await agent.drain();
  });

  test('another machine does not take the host over by waiting; a new enrollment moves it', async () => {
    const { host, place } = await freshHost();
    const first = await startAgent(place.env);
    await first.drain();
    await database.sql`update hosts set agent_seen_at = now() - interval '1 hour',
      agent_boot_id = 'boot/ns/1/1/another-machine/other' where id = ${host.id}`;
    const refused = await agentCommand(['run', '--json'], place.env);
    assert.deepEqual(
      [refused.code, (refused.json?.['error'] as { code: string } | undefined)?.code],
      [2, 'NOT_ENROLLED'],
    );
    const password = randomSecret();
    const role = await enrollHost(database.db, host.id, await scramVerifier(password));
    const url = database.urlAs(role, password);
    const agent = await startAgent({ ...place.env, REFLOAT_AGENT_DATABASE_URL: url });
    await agent.drain();
  });
});
