/** Limits that hold across handlers, and what a refused client is told. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { eq, like } from 'drizzle-orm';
import type { RefloatError } from '../../db/errors.ts';
import { takePermits } from '../../db/queries/take-permits.ts';
import { audit, rateLimits } from '../../db/schema/index.ts';
import { clientAddress } from '../../functions/client-address.ts';
import { RateLimiter, readRateLimits } from '../../functions/rate-limits.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  mint,
  signInSecret,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';
import { type TestDatabase, testDatabase } from '../helpers/postgres.ts';

/** One a minute: what comes back while a test runs is nothing. */
const SMALL = 'read=1:40,change=1:12,workload=1:5,sign-in=1:6,link=1:3,refused=1:8';

describe('two handlers with one database', () => {
  let database: TestDatabase;
  let planes: [ControlPlane, ControlPlane];
  before(async () => {
    database = await testDatabase();
    const first = await startNodeControlPlane(database, { REFLOAT_RATE_LIMITS: SMALL });
    planes = [first, await startNodeControlPlane(database, { ...first.env })];
  });
  after(async () => {
    for (const plane of planes) await plane.close();
  });
  const many = (count: number, ask: (plane: ControlPlane) => ReturnType<typeof call>) =>
    Promise.all(Array.from({ length: count }, (_, index) => ask(planes[index % 2] ?? planes[0])));
  const statuses = (answers: readonly { readonly status: number }[]) =>
    Object.fromEntries(
      [...new Set(answers.map((each) => each.status))].map((status) => [
        status,
        answers.filter((each) => each.status === status).length,
      ]),
    );

  test('changes of one token: exactly as many as the limit, then 429 with a code and when to come again', async () => {
    const { jwt } = await mint(planes[0]);
    const answers = await many(30, (plane) =>
      call(plane, 'POST', '/api/hosts', { token: jwt, body: { name: `h-${randomUUID()}` } }),
    );
    assert.deepEqual(statuses(answers), { 201: 12, 429: 18 });
    const refused = answers.find((each) => each.status === 429);
    assert.equal(refused?.body.code, 'RATE_LIMITED');
    assert.match(refused?.headers.get('content-type') ?? '', /^application\/problem\+json/);
    const wait = Number(refused?.headers.get('retry-after'));
    assert.ok(wait >= 1 && wait <= 60, `${wait} s until the next`);
    const other = await call(planes[0], 'POST', '/api/hosts', {
      token: (await mint(planes[0])).jwt,
      body: { name: `h-${randomUUID()}` },
    });
    assert.equal(other.status, 201, 'another token has its own limit');
    const rows = await database.db.select().from(audit).where(eq(audit.code, 'RATE_LIMITED'));
    assert.equal(rows.length, 1, 'the first refusal of the series is in the audit, for all of them');
  });

  test('reads of one token: never more than the limit, and a handler forfeits no more than it used', async () => {
    const { jwt } = await mint(planes[0]);
    const answers = await many(120, (plane) => call(plane, 'GET', '/api/session', { token: jwt }));
    const passed = statuses(answers)[200] ?? 0;
    assert.ok(passed <= 40 && passed >= 20, `${passed} of 40 passed`);
    assert.equal(answers.filter((each) => each.status === 429).length, 120 - passed);
  });

  test('intents of one workload are limited whoever asks for them', async () => {
    const hostId = await addHost(planes[0]);
    const workload = await addWorkload(planes[0], hostId);
    const snapshotId = await addSnapshot(planes[0], workload);
    const answers = [];
    for (let index = 0; index < 8; index++) {
      const { jwt } = await mint(planes[0]);
      answers.push(
        await call(
          planes[index % 2] ?? planes[0],
          'POST',
          `/api/workloads/${workload.id}/snapshots/${snapshotId}/plan`,
          {
            token: jwt,
          },
        ),
      );
    }
    assert.deepEqual(statuses(answers), { 202: 5, 429: 3 });
  });

  test('a link can be tried a few times, an address a few more, and bad credentials do not go on for ever', async () => {
    const secret = await signInSecret(planes[0]);
    const tries = await many(5, (plane) => call(plane, 'POST', '/api/enroll', { body: { token: secret } }));
    assert.deepEqual(statuses(tries), { 401: 3, 429: 2 });
    const more = await many(4, (plane) => call(plane, 'POST', '/api/session', { body: { token: randomUUID() } }));
    assert.deepEqual(statuses(more), { 401: 1, 429: 3 }, 'six for this address in all');
    const bad = await many(20, (plane) => call(plane, 'GET', '/api/hosts', { token: 'x.y.z' }));
    assert.deepEqual(statuses(bad), { 401: 8, 429: 12 });
    const good = await call(planes[0], 'GET', '/api/session', { token: (await mint(planes[0])).jwt });
    assert.equal(good.status, 200, 'a good credential from that address still counts');
    const stray = await many(6, (plane) => call(plane, 'POST', '/api/nothing'));
    assert.deepEqual(statuses(stray), { 429: 6 }, 'nor does what would be a row of the audit each');
  });
});

test('permits come back at the pace of the limit, to its burst and no further', async () => {
  const { db } = await testDatabase();
  const limit = { perMinute: 60, burst: 10 };
  const take = (wanted: number) => takePermits(db, 'k', limit, wanted);
  assert.equal((await take(4)).granted, 4);
  assert.equal((await take(16)).granted, 6, 'what is left, though more was wanted');
  const refused = await take(1);
  assert.deepEqual([refused.granted, refused.refused], [0, 1]);
  assert.ok(refused.waitSeconds > 0 && refused.waitSeconds <= 1);
  assert.equal((await take(1)).refused, 2);
  const later = async (seconds: number) =>
    db.execute(`update rate_limits set full_at = full_at - interval '${seconds} seconds'`);
  await later(3);
  assert.equal((await take(10)).granted, 3);
  await later(10_000);
  assert.equal((await take(50)).granted, 10);
  assert.equal((await db.select().from(rateLimits).where(like(rateLimits.key, 'k'))).length, 1);
});

test('a handler that reads at a pace asks Postgres for few of its permits', async () => {
  const { db } = await testDatabase();
  let now = 0;
  const limiter = new RateLimiter(readRateLimits('read=1:1000'), () => new Date(now));
  for (let index = 0; index < 300; index++) await limiter.take(db, 'read', 'token:a');
  const used = async () => {
    const [row] = await db.execute<{ n: number }>(
      "select round(extract(epoch from full_at - now()) / 60)::int as n from rate_limits where key = 'read:token:a'",
    );
    return row?.n ?? 0;
  };
  assert.ok((await used()) - 300 < 32, 'taken in advance: less than a block');
  now = 5000;
  const before = await used();
  await limiter.take(db, 'read', 'token:a');
  assert.equal((await used()) - before, 1, 'after a pause it begins with one again');
});

test('while one request fetches more, the others use what is there; a fetch that brings nothing refuses nobody', async () => {
  const { db } = await testDatabase();
  const limiter = new RateLimiter(readRateLimits('read=1:100'), () => new Date(0));
  const take = () => limiter.take(db, 'read', 'token:b');
  // 1 + 2 + 4 + 8 + 16 are used up, and 1 of 32.
  for (let index = 0; index < 32; index++) await take();
  await Promise.all(Array.from({ length: 31 }, take));
  let passed = 63;
  const refusal = await (async () => {
    for (;;) {
      await take();
      passed++;
    }
  })().catch((error: unknown) => error as RefloatError);
  assert.equal(passed, 100, 'every permit was used, and not one more');
  assert.equal(refusal.details?.['inARow'], 1, 'who fetched in advance and got nothing was not refused');
});

test('limits are read from text, and what cannot be read is refused', () => {
  assert.deepEqual(readRateLimits('read=7:8, change = 1:2').read, { perMinute: 7, burst: 8 });
  assert.deepEqual(readRateLimits(undefined), readRateLimits(''));
  for (const text of [
    'read',
    'read=1',
    'read=0:1',
    'reads=1:1',
    'read=1:1;change=1:1',
    'read=1:99999999999',
    'toString=1:1',
  ])
    assert.throws(() => readRateLimits(text), { code: 'CONFIG_INVALID' }, text);
});

test('whose address it is: the peer, unless our own proxies say otherwise; IPv6 by network', () => {
  const cases: [string | undefined, string | undefined, number, string][] = [
    ['203.0.113.7', '198.51.100.1', 0, '203.0.113.7'],
    ['10.0.0.1', '198.51.100.1', 1, '198.51.100.1'],
    ['10.0.0.1', '6.6.6.6, 198.51.100.1', 1, '198.51.100.1'],
    ['10.0.0.1', '198.51.100.1, 10.0.0.2', 2, '198.51.100.1'],
    ['10.0.0.1', undefined, 1, '10.0.0.1'],
    ['10.0.0.1', '198.51.100.1', 2, '10.0.0.1'],
    ['::ffff:192.0.2.1', undefined, 0, '192.0.2.1'],
    ['2001:db8:0:7::1', undefined, 0, '2001:db8:0:7::/64'],
    ['2001:0DB8:0000:0007:ffff::2', undefined, 0, '2001:db8:0:7::/64'],
    ['::1', undefined, 0, '0:0:0:0::/64'],
    [undefined, undefined, 0, 'unknown'],
  ];
  for (const [peer, forwarded, proxies, expected] of cases)
    assert.equal(clientAddress(peer, forwarded, proxies), expected);
});
