/** What goes when its time is over, what stays, and what only raises an alarm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eq, sql } from 'drizzle-orm';
import { newId } from '../../db/ids.ts';
import {
  audit,
  challenges,
  idempotencyKeys,
  intents,
  oneTimeLinks,
  rateLimits,
  snapshots,
  tokens,
} from '../../db/schema/index.ts';
import { HOUSEKEEPING_CRON, keepHouse } from '../../functions/housekeeping.ts';
import { addHost, addSnapshot, addWorkload, move, startNodeControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

const HOUR_MS = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR_MS);
const silent = () => undefined;

test('what has expired goes, what has not stays, and a second round finds nothing', async () => {
  const database = await testDatabase();
  const { db } = database;
  const link = (hash: string, expiresAt: Date) =>
    db.insert(oneTimeLinks).values({ hash, purpose: 'enrollment', subject: 's', expiresAt });
  await link('old', ago(25));
  await link('just over', ago(1));
  const key = (name: string, createdAt: Date) =>
    db
      .insert(idempotencyKeys)
      .values({ actor: 'a', key: name, requestHash: 'h', status: 202, headers: {}, body: {}, createdAt });
  await key('old', ago(25));
  await key('new', ago(23));
  await db.insert(rateLimits).values([
    { key: 'past', fullAt: ago(1), granted: 1 },
    { key: 'running', fullAt: ago(-1), granted: 1 },
  ]);
  const challenge = (hash: string, expiresAt: Date) =>
    db.insert(challenges).values({ hash, purpose: 'passkey-sign-in', expiresAt });
  await challenge('past', ago(1));
  await challenge('running', ago(-1));
  const token = (expiresAt: Date) =>
    db.insert(tokens).values({ jti: newId(), kind: 'automation', subject: 's', scopes: [], createdBy: 't', expiresAt });
  await token(ago(31 * 24));
  await token(ago(29 * 24));
  const first = await keepHouse(db, silent);
  assert.deepEqual(first.removed, {
    rate_limits: 1,
    idempotency_keys: 1,
    one_time_links: 1,
    challenges: 1,
    sessions: 0,
    tokens: 1,
  });
  assert.deepEqual(first.failed, []);
  assert.deepEqual(
    [
      (await db.select().from(oneTimeLinks)).map((row) => row.hash),
      (await db.select().from(idempotencyKeys)).map((row) => row.key),
      (await db.select().from(rateLimits)).map((row) => row.key),
      (await db.select().from(tokens)).length,
    ],
    [['just over'], ['new'], ['running'], 1],
  );
  const second = await keepHouse(db, silent);
  assert.ok(Object.values(second.removed).every((rows) => rows === 0));
});

test('a lease that ran out is an alarm, once, in log and audit; the intent stays with its host', async (t) => {
  const database = await testDatabase();
  const plane = await startNodeControlPlane(database);
  t.after(() => plane.close());
  const workload = await addWorkload(plane, await addHost(plane));
  const id = newId();
  await database.db
    .insert(intents)
    .values({ id, kind: 'restore', workloadId: workload.id, hostId: workload.hostId, requestedBy: 't' });
  await move(plane, id, ['claimed', 'running'], { leaseEpoch: 3, leaseUntil: new Date(Date.now() - 61_000) });
  const before = await database.db.select().from(intents).where(eq(intents.id, id));
  const warned: unknown[] = [];
  const rounds = await Promise.all(
    Array.from({ length: 4 }, () =>
      keepHouse(database.db, (level, _message, facts) => void (level === 'warn' && warned.push(facts))),
    ),
  );
  await keepHouse(database.db, silent);
  assert.equal(
    rounds.reduce((sum, round) => sum + round.leaseAlarms, 0),
    1,
  );
  assert.deepEqual(warned, [{ intentId: id, hostId: workload.hostId, workloadId: workload.id, kind: 'restore' }]);
  const rows = await database.db
    .select()
    .from(audit)
    .where(eq(audit.target, `intent:${id}`));
  assert.deepEqual(
    rows.map((row) => [row.action, row.outcome, row.code, row.details['leaseEpoch']]),
    [['intent.leaseExpired', 'failed', 'LEASE_EXPIRED', 3]],
  );
  const [now] = await database.db.select().from(intents).where(eq(intents.id, id));
  assert.deepEqual({ ...now, leaseAlarmEpoch: null }, before[0], 'nothing else about it has changed');
});

test('a snapshot whose undo window is over can be deleted, and the audit says so', async (t) => {
  const database = await testDatabase();
  const plane = await startNodeControlPlane(database);
  t.after(() => plane.close());
  const workload = await addWorkload(plane, await addHost(plane));
  const over = await addSnapshot(plane, workload, { kind: 'pre-restore', protectedUntil: ago(1) });
  const held = await addSnapshot(plane, workload, { kind: 'pre-restore', protectedUntil: ago(-1) });
  await database.sql.begin(async (holder) => {
    await holder`select 1 from snapshots where id = ${over} for update`;
    assert.equal(
      (await keepHouse(database.db, silent)).undoWindowsEnded,
      0,
      'a locked row is left for later, not waited for',
    );
  });
  const rounds = await Promise.all(Array.from({ length: 4 }, () => keepHouse(database.db, silent)));
  assert.deepEqual(rounds.map((round) => round.undoWindowsEnded).sort(), [0, 0, 0, 1]);
  const until = async (id: string) =>
    (await database.db.select().from(snapshots).where(eq(snapshots.id, id)))[0]?.protectedUntil;
  assert.equal(await until(over), null);
  assert.notEqual(await until(held), null);
  const rows = await database.db.select().from(audit).where(eq(audit.action, 'undoWindowsEnded'));
  assert.deepEqual(rows[0]?.details['snapshots'], [over]);
});

test('what one part cannot do keeps no other part from being done', async () => {
  const { db } = await testDatabase();
  await db.insert(rateLimits).values({ key: 'past', fullAt: ago(1), granted: 1 });
  await db.execute(sql`alter table one_time_links rename to links_elsewhere`);
  const said: string[] = [];
  const done = await keepHouse(
    db,
    (_level, message, facts) => void said.push(`${message} ${String(facts['part'] ?? '')}`),
  );
  assert.deepEqual(done.failed, ['one_time_links']);
  assert.equal(done.removed.rate_limits, 1);
  assert.deepEqual(done.removed.tokens, 0);
  assert.ok(said.includes('housekeeping failed in part one_time_links'));
});

test('the pace on Workers is the pace on Node', async () => {
  const { readFileSync } = await import('node:fs');
  const toml = readFileSync(new URL('../../wrangler.toml', import.meta.url), 'utf8');
  assert.ok(toml.includes(`crons = ["${HOUSEKEEPING_CRON}"]`));
});
