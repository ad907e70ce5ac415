/** Event streams at the moments that a running server reaches by chance or after minutes: the clock, and what happens between two looks, are the test's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../db/ids.ts';
import { intents } from '../../db/schema/index.ts';
import { createApp } from '../../functions/app.ts';
import { readKeySet } from '../../functions/auth/key-set.ts';
import { readServerConfig } from '../../functions/config.ts';
import { DEFAULT_RATE_LIMITS } from '../../functions/rate-limits.ts';
import {
  addEvents,
  addHost,
  addWorkload,
  type ControlPlane,
  controlPlaneEnv,
  mint,
  move,
} from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

const TIMES = { pollMs: 1, idlePollMs: 2, maxMs: 5 * 60_000 };
const HEARTBEAT_MS = 15_000;

const database = await testDatabase();
const env = await controlPlaneEnv(database);
const plane: ControlPlane = { origin: '', database, env, close: () => Promise.resolve() };
const hostId = await addHost(plane);

/** An app whose clock stands still unless told, and which says when a look at the database is over. */
async function stage() {
  const workload = await addWorkload(plane, hostId);
  const intentId = newId();
  await database.db
    .insert(intents)
    .values({ id: intentId, kind: 'restore', workloadId: workload.id, hostId, requestedBy: 'test' });
  await move(plane, intentId, ['claimed', 'running']);
  const { jwt, jti } = await mint(plane);
  let clock = Date.now();
  let held = 0;
  let looks: (() => void | Promise<void>)[] = [];
  const app = createApp({
    database: {
      acquire: () => {
        held++;
        return {
          db: database.db,
          release: async () => {
            held--;
            await looks.shift()?.();
          },
        };
      },
    },
    keys: await readKeySet(env['REFLOAT_SIGNING_KEYS'] ?? ''),
    issuer: readServerConfig(env).issuer,
    publicOrigin: undefined,
    agentDatabaseUrl: undefined,
    oidc: undefined,
    fetchJson: () => Promise.resolve(null),
    now: () => new Date(clock),
    rateLimits: DEFAULT_RATE_LIMITS,
    clientAddress: () => 'test',
    log: () => undefined,
    afterResponse: () => undefined,
    eventStream: TIMES,
  });
  return {
    intentId,
    jti,
    held: () => held,
    pass: (ms: number) => {
      clock += ms;
    },
    /** What happens after the next looks, one after the other; the request itself is not one. */
    between: (...next: typeof looks) => {
      looks = [() => undefined, ...next];
    },
    read: async (lastEventId = 0) => {
      const headers = { authorization: `Bearer ${jwt}`, 'last-event-id': String(lastEventId) };
      const answer = await app.request(`/api/intents/${intentId}/events`, { headers });
      assert.equal(answer.status, 200);
      return answer.text();
    },
  };
}

const numbers = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const endOf = (text: string) => /event: end\ndata: (.*)/.exec(text)?.[1];

test('events that arrive after the final state come before the end', async () => {
  const { intentId, between, read } = await stage();
  await addEvents(plane, intentId, hostId, 1, 2);
  between(
    () => move(plane, intentId, ['succeeded'], { result: { downtimeMs: 7 } }),
    // This look saw the final state, and nothing new.
    () => addEvents(plane, intentId, hostId, 3, 4),
    // And this one, as late as can be, again something.
    () => addEvents(plane, intentId, hostId, 5, 5),
  );
  const text = await read();
  assert.deepEqual(numbers(text), [1, 2, 3, 4, 5]);
  assert.equal(JSON.parse(endOf(text) ?? '{}').result.downtimeMs, 7);
  assert.ok(text.indexOf('id: 5') < text.indexOf('event: end'));
});

test('a stream ends at its maximum without an end event, holds nothing, and the next one goes on where it was', async () => {
  const { intentId, between, pass, read, held } = await stage();
  await addEvents(plane, intentId, hostId, 1, 3);
  between(
    () => assert.equal(held(), 0, 'nothing is held between two looks'),
    () => pass(TIMES.maxMs),
  );
  const first = await read();
  assert.deepEqual(numbers(first), [1, 2, 3]);
  assert.match(first, /^retry: \d+$/m);
  assert.equal(endOf(first), undefined, 'the intent is not over');
  assert.equal(held(), 0);
  await addEvents(plane, intentId, hostId, 4, 5);
  await move(plane, intentId, ['failed']);
  const second = await read(3);
  assert.deepEqual(numbers(second), [4, 5]);
  assert.equal(JSON.parse(endOf(second) ?? '{}').state, 'failed');
});

test('a stream of a token that was revoked meanwhile ends at the next heartbeat', async () => {
  const { intentId, jti, between, pass, read } = await stage();
  await addEvents(plane, intentId, hostId, 1, 1);
  between(async () => {
    await database.sql`update tokens set revoked_at = now() where jti = ${jti}`;
    pass(HEARTBEAT_MS);
  });
  const text = await read();
  assert.deepEqual(numbers(text), [1]);
  assert.doesNotMatch(text, /still here|event: end/);
});

test('a heartbeat comes while nothing happens, and the stream goes on', async () => {
  const { intentId, between, pass, read } = await stage();
  between(
    () => pass(HEARTBEAT_MS),
    () => pass(HEARTBEAT_MS),
    () => undefined,
    () => undefined,
    () => move(plane, intentId, ['succeeded']),
  );
  const text = await read();
  assert.match(text, /: still here/);
  assert.notEqual(endOf(text), undefined);
});
