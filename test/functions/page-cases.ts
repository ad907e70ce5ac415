/** Every list by pages, as every runtime must have it; part of the contract suite. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { newId } from '../../db/ids.ts';
import { issuers, passkeys, people } from '../../db/schema/index.ts';
import {
  type Answer,
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  mint,
  signedIn,
} from '../helpers/control-plane.ts';

const ROWS = 5;
/** Of one moment to the millisecond, which is all that an answer shows. */
const moment = (index: number) => `2026-01-02 03:04:05.12345${Math.floor(index / 2)}+00`;
const each = <T>(work: (index: number) => Promise<T>) => Promise.all(Array.from({ length: ROWS }, (_, n) => work(n)));

interface List {
  readonly member: string;
  readonly id: string;
  readonly get: (query: string) => Promise<Answer>;
  /** Ids of rows that must be there. */
  readonly made: readonly string[];
}

export function pageCases(planeOf: () => ControlPlane): void {
  test('every list comes by pages of any size, each row once', async () => {
    for (const [path, list] of await lists(planeOf())) {
      const whole = await list.get('?limit=1000');
      assert.equal(whole.status, 200, path);
      assert.equal(whole.body.next, null, path);
      const expected = idsOf(list, whole);
      assert.deepEqual(new Set(list.made), new Set(expected.filter((id) => list.made.includes(id))), path);
      assert.deepEqual(idsOf(list, await list.get('')), expected, `${path} as it was before there were pages`);
      for (const size of [1, 2, ROWS]) {
        const seen: string[] = [];
        for (let next: string | null = ''; next !== null; ) {
          const page: Answer = await list.get(
            `?limit=${size}${next === '' ? '' : `&cursor=${encodeURIComponent(next)}`}`,
          );
          assert.equal(page.status, 200, `${path} ${JSON.stringify(page.body)}`);
          assert.ok(idsOf(list, page).length <= size, path);
          seen.push(...idsOf(list, page));
          next = page.body.next as string | null;
        }
        assert.deepEqual(seen, expected, `${path} by ${size}`);
      }
      for (const query of ['?limit=0', '?limit=1001', '?limit=x', '?cursor=', '?nonsense=1'])
        assert.equal((await list.get(query)).status, 422, path + query);
    }
  });

  test('a page goes on where it ended, also when the last row is gone', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const { hostId, sid } = await snapshotList(plane);
    const path = `/api/workloads/${sid.workloadId}/snapshots`;
    const all = (await call(plane, 'GET', path, { token })).body.snapshots.map((row: { id: string }) => row.id);
    const first = await call(plane, 'GET', `${path}?limit=2`, { token });
    const added = await addSnapshot(plane, { id: sid.workloadId, hostId }, { capturedAt: new Date() });
    await plane.database.sql`update snapshots set state = 'deleted', deleted_at = now() where id = ${all[1]}`;
    const rest = await call(plane, 'GET', `${path}?cursor=${encodeURIComponent(first.body.next)}`, { token });
    const ids = rest.body.snapshots.map((row: { id: string }) => row.id);
    assert.deepEqual(ids, all.slice(2));
    assert.ok(!ids.includes(added), 'what is newer stands before the first page');
  });

  test('a cursor that no answer had is refused, not misread', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const { sid } = await snapshotList(plane);
    const ofHosts = (await call(plane, 'GET', '/api/hosts?limit=1', { token })).body.next;
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const bad = [
      ...[
        'x',
        '%00',
        '..',
        encoded('x'),
        encoded(null),
        encoded([]),
        encoded(['a']),
        encoded({ key: 'a', id: newId() }),
      ],
      ...[encoded(['a', 'b']), encoded([1, newId()]), encoded(['a', newId(), 'c']), encoded(['a\0', newId()])],
      ...[encoded(["2026-01-01' or true --", newId()]), encoded(['infinity', newId()]), ofHosts],
      ...[
        '9999-99-99 99:99:99+99',
        '2026-02-30 00:00:00+00',
        '0000-01-01 00:00:00+00',
        '2026-01-01 00:00:00+99:99',
      ].map((text) => encoded([text, newId()])),
    ];
    for (const cursor of bad) {
      const answer = await call(
        plane,
        'GET',
        `/api/workloads/${sid.workloadId}/snapshots?cursor=${encodeURIComponent(cursor)}`,
        { token },
      );
      assert.deepEqual([answer.status, answer.body.code], [422, 'VALIDATION_FAILED'], cursor);
      assert.equal(answer.body.errors[0].path, 'cursor');
    }
  });
}

function idsOf(list: List, answer: Answer): string[] {
  return answer.body[list.member].map((row: Record<string, string>) => row[list.id]);
}

/** A workload with snapshots, some of the same microsecond. */
async function snapshotList(plane: ControlPlane) {
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const made = await each(async (index) => {
    const id = await addSnapshot(plane, workload);
    await plane.database.sql`update snapshots set captured_at = ${moment(index)} where id = ${id}`;
    return id;
  });
  return { hostId, sid: { workloadId: workload.id, made } };
}

async function lists(plane: ControlPlane): Promise<[string, List][]> {
  const { db, sql } = plane.database;
  const { jwt: token } = await mint(plane);
  const { hostId, sid } = await snapshotList(plane);
  const anna = await signedIn(plane, { name: `Anna-${randomUUID()}` });
  const as = (headers: Readonly<Record<string, string>>) => (path: string) => (query: string) =>
    call(plane, 'GET', path + query, { headers });
  const [byToken, byAnna] = [as({ authorization: `Bearer ${token}` }), as(anna.headers)];
  const madeTokens = await each(async () => (await mint(plane)).jti);
  const madeSessions = await each(async () => (await signedIn(plane, { name: anna.person.name })).sessionId);
  for (const [index, id] of madeTokens.entries())
    await sql`update tokens set created_at = ${moment(index)} where jti = ${id}`;
  for (const [index, id] of madeSessions.entries())
    await sql`update sessions set last_seen_at = ${moment(index)} where id = ${id}`;
  const madePasskeys = await each(async (index) => {
    const id = randomBytes(16).toString('base64url');
    await db
      .insert(passkeys)
      .values({ id, personId: anna.person.id, name: 'k', publicKey: 'x', counter: 0, transports: [], backedUp: false });
    await sql`update passkeys set created_at = ${moment(index)} where id = ${id}`;
    return id;
  });
  // Names that collations order in other ways than bytes do.
  const named = (index: number) => `${['a', 'B', 'Ab', 'a-b', 'a_c'][index] ?? 'x'}${randomUUID()}`;
  const madePeople = await each(async (index) => {
    const id = newId();
    await db.insert(people).values({ id, name: named(index), role: 'viewer', createdBy: 'test' });
    return id;
  });
  const madeIssuers = await each(async (index) => {
    const id = newId();
    const name = named(index);
    const issuer = `https://${name}.example`;
    await db
      .insert(issuers)
      .values({ id, name, issuer, audience: 'a', algorithms: ['RS256'], rules: [], createdBy: 't' });
    return id;
  });
  const madeHosts = await each(() => addHost(plane));
  const madeWorkloads = await each(async (index) => (await addWorkload(plane, hostId, { name: named(index) })).id);
  const snapshotPath = `/api/workloads/${sid.workloadId}/snapshots`;
  return [
    ['/api/hosts', 'hosts', 'id', byToken, madeHosts],
    ['/api/workloads', 'workloads', 'id', byToken, madeWorkloads],
    [snapshotPath, 'snapshots', 'id', byToken, sid.made],
    ['/api/tokens', 'tokens', 'jti', byToken, madeTokens],
    ['/api/issuers', 'issuers', 'id', byToken, madeIssuers],
    ['/api/people', 'people', 'id', byToken, madePeople],
    ['/api/passkeys', 'passkeys', 'id', byAnna, madePasskeys],
    ['/api/sessions', 'sessions', 'id', byAnna, madeSessions],
  ].map(([path, member, id, get, made]) => [
    path as string,
    {
      member: member as string,
      id: id as string,
      get: (get as typeof byToken)(path as string),
      made: made as string[],
    },
  ]);
}
