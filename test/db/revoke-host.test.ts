/** The end of a host: its login, its connections and what it was asked to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../db/client.ts';
import { databaseErrorFacts } from '../../db/database-error.ts';
import { newId } from '../../db/ids.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { revokeHost } from '../../db/queries/revoke-host.ts';
import { randomSecret, scramVerifier } from '../../functions/auth/secrets.ts';
import { addHost, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import { waitFor } from '../helpers/host.ts';
import { testDatabase } from '../helpers/postgres.ts';

const database = await testDatabase();
const plane: ControlPlane = { origin: '', database, env: {}, close: () => Promise.resolve() };

async function liveHost() {
  const hostId = await addHost(plane);
  const password = randomSecret();
  const role = await enrollHost(database.db, hostId, await scramVerifier(password));
  const agent = connect(database.urlAs(role, password), { max: 2 });
  const ask = async (state: string): Promise<string> => {
    const { id: workloadId } = await addWorkload(plane, hostId);
    const id = newId();
    await database.sql`insert into intents (id, kind, workload_id, host_id, requested_by) values (${id}, 'restore', ${workloadId}, ${hostId}, 'test')`;
    for (const next of { pending: [], claimed: ['claimed'], running: ['claimed', 'running'] }[state] ?? assert.fail())
      await database.sql`update intents set state = ${next}, lease_epoch = 1 where id = ${id}`;
    return id;
  };
  return { hostId, agent, ask };
}

test('its connections are cut, what was asked of it ends, and nothing more can be asked', async () => {
  const { hostId, agent, ask } = await liveHost();
  const ids = [await ask('pending'), await ask('claimed'), await ask('running')];
  await agent.sql`select 1`;
  const revoked = await revokeHost(database.db, hostId);
  assert.deepEqual([...(revoked?.failedIntents ?? [])].sort(), [...ids].sort());
  await assert.rejects(async () => agent.sql`select 1`);
  await agent.close();
  const rows =
    await database.sql`select state, error ->> 'code' as code, lease_until, finished_at is not null as finished from intents where host_id = ${hostId}`;
  for (const row of rows)
    assert.deepEqual({ ...row }, { state: 'failed', code: 'HOST_REVOKED', lease_until: null, finished: true });
  const refused = await ask('pending').then(() => null, databaseErrorFacts);
  assert.equal(refused?.constraint, 'intents_host_not_revoked');
  assert.equal(await revokeHost(database.db, hostId), null, 'once');
});

test('a host cannot keep itself from being revoked by holding its rows locked', async () => {
  const { hostId, agent, ask } = await liveHost();
  const pending = await ask('pending');
  const holding = agent.sql.unsafe(
    'do $$ begin perform from public.hosts for update; perform from public.intents for update; perform pg_sleep(600); end $$',
  );
  holding.catch(() => undefined);
  await waitFor(
    () => database.sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`,
    (rows) => rows.length === 1,
  );
  const began = performance.now();
  const revoked = await revokeHost(database.db, hostId);
  assert.ok(performance.now() - began < 10_000);
  assert.deepEqual(revoked?.failedIntents, [pending]);
  await assert.rejects(async () => holding, 'its session was ended');
  await agent.close();
});

test('a restore that comes at the moment of the revocation is refused or failed, never left pending', async () => {
  const { hostId, agent, ask } = await liveHost();
  await agent.close();
  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 8 }, () => ask('pending')),
    revokeHost(database.db, hostId),
    ...Array.from({ length: 8 }, () => ask('pending')),
  ]);
  assert.equal(outcomes[8]?.status, 'fulfilled');
  const left = await database.sql`select from intents where host_id = ${hostId} and state = 'pending'`;
  assert.equal(left.length, 0);
});
