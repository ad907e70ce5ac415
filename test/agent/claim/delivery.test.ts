/** Bringing what is spooled to Postgres, on a disk that does not take what has to be put aside meanwhile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { AgentDatabase } from '../../../agent/claim/agent-database.ts';
import { Delivery } from '../../../agent/claim/delivery.ts';
import type { Spool } from '../../../agent/claim/spool.ts';
import { newId } from '../../../db/ids.ts';
import { claimIntent } from '../../../db/queries/claim-intent.ts';
import { holdHost } from '../../../db/queries/hold-host.ts';
import type { Outcome } from '../../../db/results.ts';
import { enrolledHost, type TestHost, waitFor } from '../../helpers/host.ts';
import { type TestDatabase, testDatabase } from '../../helpers/postgres.ts';

const DONE: Outcome = { state: 'succeeded', result: null, error: null };
const instance = newId();
const stateDir = mkdtempSync(join(tmpdir(), 'rfdl-'));
const aside = join(stateDir, 'spool');
const logged: string[] = [];
let database: TestDatabase;
let host: TestHost;
let agent: AgentDatabase;
let delivery: Delivery;

before(async () => {
  database = await testDatabase();
  host = await enrolledHost(database);
  agent = new AgentDatabase(host.url);
  await agent.attempt((sql) => holdHost(sql, host.id, { instance, bootId: 'boot/ns/1/1', version: '0' }, null));
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  delivery = new Delivery({ database: agent, stateDir, hostId: host.id, log });
});
after(async () => {
  await delivery.stop();
  await agent.close();
  rmSync(stateDir, { recursive: true, force: true });
});

async function held(): Promise<{ id: string; spool: Spool }> {
  const id = await host.addIntent('capture', await host.addWorkload());
  const row = await agent.attempt((sql) => claimIntent(sql, host.id, instance));
  assert.equal(row?.id, id);
  return { id, spool: delivery.hold(id, row.leaseEpoch, row.lastSeq) };
}

/** Waits for a try to put something of the intent aside, or to remove it, which the disk did not take. */
async function resisted(id: string): Promise<void> {
  const failure = (line: string): boolean => line.includes('the spool cannot be changed') && line.includes(id);
  const before = logged.filter(failure).length;
  await waitFor(
    () => logged.filter(failure).length,
    (times) => times > before,
  );
}

async function settled(id: string): Promise<void> {
  await waitFor(
    () => delivery.intents(),
    (ids) => !ids.includes(id),
  );
}

test('what Postgres refuses while the disk is full goes aside when there is room, whole and once, and the outcome arrives', async () => {
  const refused = join(aside, 'refused');
  mkdirSync(refused, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', refused]);
  try {
    const filler = join(refused, 'filler');
    assert.throws(() => writeFileSync(filler, Buffer.alloc(64 * 1024)), { code: 'ENOSPC' });
    // A part of what is to be put aside still fits.
    truncateSync(filler, statSync(filler).size - 4096);
    const { id, spool } = await held();
    const data = { text: 'x'.repeat(10_000) };
    spool.append({ type: 'event', event: { seq: 1, at: 'no time', type: 'step', data } });
    spool.append({ type: 'finish', outcome: DONE });
    await resisted(id);
    await resisted(id);
    assert.equal((await host.intent(id)).state, 'claimed');
    rmSync(filler);
    assert.equal((await host.ended(id)).state, 'succeeded');
    const lines = readFileSync(join(refused, `${id}.jsonl`), 'utf8').split('\n');
    assert.equal(lines.length, 2);
    assert.deepEqual(JSON.parse(lines[0] ?? '').event.data, data);
    await settled(id);
    assert.ok(!existsSync(spool.path));
  } finally {
    execFileSync('umount', ['-l', refused]);
  }
});

test('what another holder fenced out goes aside when the disk takes it', async () => {
  const { id, spool } = await held();
  const lost = join(aside, 'lost');
  writeFileSync(lost, 'in the way');
  await database.sql`update intents set lease_epoch = lease_epoch + 1 where id = ${id}`;
  spool.append({ type: 'finish', outcome: DONE });
  await resisted(id);
  assert.ok(delivery.intents().includes(id));
  rmSync(lost);
  await settled(id);
  assert.deepEqual(readdirSync(lost), [`${id}.jsonl`]);
  assert.equal((await host.intent(id)).state, 'claimed');
});

test('an intent whose outcome has arrived is over, although its spool cannot be removed', async () => {
  const { id, spool } = await held();
  execFileSync('mount', ['--bind', spool.path, spool.path]);
  try {
    spool.append({ type: 'finish', outcome: DONE });
    assert.equal((await host.ended(id)).state, 'succeeded');
    await settled(id);
  } finally {
    execFileSync('umount', [spool.path]);
  }
  delivery.resumeLeftovers();
  await settled(id);
  assert.ok(!existsSync(spool.path));
});
