/** What confines hosts must stay in force: the catalogue says so, and the check is shown to see what it is there to see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../db/ids.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { randomSecret, scramVerifier } from '../../functions/auth/secrets.ts';
import { catalogueProblems } from '../helpers/catalogue.ts';
import { testDatabase } from '../helpers/postgres.ts';

const database = await testDatabase();
const { sql } = database;
const hostId = newId();
await sql`insert into hosts (id, name) values (${hostId}, 'amber')`;
const hostRole = await enrollHost(database.db, hostId, await scramVerifier(randomSecret()));

test('every table forces row security, and there is no right, function or role too many', async () => {
  assert.deepEqual(await catalogueProblems(sql), []);
});

const SABOTAGE: readonly [string, RegExp][] = [
  ['create table secrets ()', /secrets has no row security/],
  ['create table secrets (); alter table secrets enable row level security', /secrets does not force it/],
  [
    'create table secrets (); alter table secrets enable row level security, force row level security',
    /secrets has no policy/,
  ],
  ['alter table tokens disable row level security', /tokens has no row security/],
  ['alter table intents no force row level security', /intents does not force it/],
  ['create view open as select * from tokens', /open is not a table/],
  ['create materialized view open as select * from tokens', /open is not a table/],
  ['create policy extra on tokens to public using (true)', /policy extra of tokens is for others/],
  ['create policy extra on tokens to pg_monitor using (true)', /policy extra of tokens is for others/],
  [
    'create policy extra on workloads for select to refloat_agent using (true)',
    /extra of workloads is not keyed on the host/,
  ],
  ['grant select on tokens to refloat_agent', /hosts have SELECT on tokens/],
  ['grant insert on intents to refloat_agent', /hosts have INSERT on intents/],
  ['grant update on hosts to refloat_agent', /hosts have UPDATE on hosts/],
  ['grant update (pg_role) on hosts to refloat_agent', /hosts have UPDATE\(.*pg_role.*\) on hosts/],
  [
    'grant update (manifest_sha256) on snapshots to refloat_agent',
    /hosts have UPDATE\(.*manifest_sha256.*\) on snapshots/,
  ],
  ['grant delete on containers to refloat_agent', /hosts have DELETE on containers/],
  ['grant truncate on audit to refloat_agent', /hosts have TRUNCATE on audit/],
  ['grant select on audit to public', /PUBLIC has SELECT on audit/],
  ['grant select (subject) on tokens to public', /PUBLIC has SELECT\(subject\) on tokens/],
  ['grant select on tokens to pg_monitor', /pg_monitor has SELECT on tokens/],
  ['grant select on workloads to refloat_agent with grant option', /hosts may pass on SELECT on workloads/],
  ['revoke update (state) on intents from refloat_agent', /hosts lack UPDATE/],
  [
    'create function f() returns int language sql security definer set search_path = pg_catalog return 1',
    /f\(\) runs with its owner/,
  ],
  ['create function f() returns int language sql return 1', /f\(\) has no fixed search path/],
  ['alter function refloat_host_id() reset all', /refloat_host_id\(\) has no fixed search path/],
  [
    'alter function refloat_host_id() set search_path = public, pg_temp',
    /refloat_host_id\(\) has no fixed search path/,
  ],
  ['grant execute on function audit_first_broken() to refloat_agent', /hosts may call audit_first_broken\(\)/],
  ['grant create on schema public to public', /hosts may create in schema public/],
  ['create schema more; grant all on schema more to refloat_agent', /hosts may create in schema more/],
  ['alter default privileges in schema public grant select on tables to public', /rights are given in advance/],
  [`alter role ${hostRole} createrole`, /has an attribute of power/],
  [`alter role ${hostRole} bypassrls`, /has an attribute of power/],
  [`grant pg_read_all_data to ${hostRole}`, /is a member of pg_read_all_data/],
  ['alter role refloat_agent login', /refloat_agent may log in/],
];

for (const [statement, expected] of SABOTAGE) {
  test(`the check sees: ${statement}`, async () => {
    const undo = new Error('undo');
    await assert.rejects(
      sql.begin(async (transaction) => {
        await transaction.unsafe(statement);
        const problems = await catalogueProblems(transaction as unknown as typeof sql);
        assert.ok(
          problems.some((problem) => expected.test(problem)),
          `${expected} in ${JSON.stringify(problems)}`,
        );
        throw undo;
      }),
      undo,
    );
  });
}
