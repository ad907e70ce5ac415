import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { connect } from '../../db/client.ts';
import { toRefloatError } from '../../db/errors.ts';
import { listHosts } from '../../db/queries/list-hosts.ts';
import { testDatabase } from '../helpers/postgres.ts';

test('whatever keeps the database away is DATABASE_UNAVAILABLE, to be tried again, and tells no password', async () => {
  const database = await testDatabase();
  const nobody = new URL(database.url);
  nobody.port = '1';
  const stranger = new URL(database.url);
  stranger.password = 'wrong-secret';
  const lost = new URL(database.url);
  lost.pathname = '/no_such_database';
  for (const url of [nobody, stranger, lost]) {
    const connection = connect(url.href, { max: 1, connectTimeoutSeconds: 2 });
    for (const attempt of [() => listHosts(connection.db), async () => connection.sql`select 1`]) {
      const error = toRefloatError(
        await attempt().then(
          () => undefined,
          (thrown: unknown) => thrown,
        ),
      );
      assert.deepEqual([error.code, error.disposition], ['DATABASE_UNAVAILABLE', 'retry'], url.host + url.pathname);
      assert.ok(!JSON.stringify(error).includes(url.password), 'the password');
    }
    await connection.close();
  }
});

test('a session that the server ends is DATABASE_UNAVAILABLE, and a new one takes its place', async () => {
  const database = await testDatabase();
  const victim = connect(database.url, { max: 1 });
  const [me] = await victim.sql`select pg_backend_pid() as pid`;
  const sleeping = victim.sql`select pg_sleep(60)`.then(() => undefined, toRefloatError);
  for (;;) {
    const [row] =
      await database.sql`select state from pg_stat_activity where pid = ${me?.['pid']} and query like '%pg_sleep%'`;
    if (row?.['state'] === 'active') break;
  }
  await database.sql`select pg_terminate_backend(${me?.['pid']})`;
  assert.equal((await sleeping)?.code, 'DATABASE_UNAVAILABLE');
  // A statement may still meet the dying session; it says the same, and a later one gets a new session.
  for (;;) {
    const answer = await victim.sql`select 1 as one`.then((rows) => rows[0]?.['one'], toRefloatError);
    if (answer === 1) break;
    assert.equal(answer.code, 'DATABASE_UNAVAILABLE');
  }
  await victim.close();
});

test('errors of files and sockets that are not the database stay what they are', async () => {
  const missing = await fs.readFile('/no/such/file').then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.equal(toRefloatError(missing).code, 'INTERNAL');
  const refused = await new Promise((resolve) => net.connect(1, '127.0.0.1').once('error', resolve));
  assert.equal(toRefloatError(refused).code, 'INTERNAL');
});

test('a connection string that cannot be parsed is refused without being quoted', () => {
  for (const url of ['secret-word', 'mysql://u:secret-word@h/d', 'postgres://u:secret-word@h:99999999/d']) {
    try {
      connect(url);
      assert.fail(`${url} was accepted`);
    } catch (error) {
      assert.equal(toRefloatError(error).code, 'CONFIG_INVALID');
      assert.doesNotMatch(JSON.stringify(error) + String(error), /secret-word/);
    }
  }
});
