/** How the control plane's statements reach Postgres: prepared, and the last one of a transaction together with its commit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eq, sql } from 'drizzle-orm';
import { connect, type Db } from '../../db/client.ts';
import { runLast } from '../../db/driver.ts';
import { newId } from '../../db/ids.ts';
import { hosts } from '../../db/schema/index.ts';
import { testDatabase } from '../helpers/postgres.ts';

const database = await testDatabase();
const names = async (name: string) =>
  (await database.db.select({ name: hosts.name }).from(hosts).where(eq(hosts.name, name))).length;
const insert = (db: Pick<Db, 'insert'>, name: string) => db.insert(hosts).values({ id: newId(), name });
const RENAME = 'update hosts set name = $2 where name = $1';

test('the last statement of a transaction sees all that came before it, whenever it was asked for', async () => {
  const seen = await database.db.transaction(async (tx) => {
    await runLast(tx, RENAME, ['early', 'late']);
    await insert(tx, 'early');
    return 'done';
  });
  assert.equal(seen, 'done');
  assert.deepEqual([await names('early'), await names('late')], [0, 1]);
});

test('it commits with the others, also the first time that a connection hears of it', async (t) => {
  const fresh = connect(database.url, { max: 1 });
  t.after(() => fresh.close());
  for (const name of ['one', 'two', 'three']) {
    await fresh.db.transaction(async (tx) => {
      await insert(tx, name);
      await runLast(tx, RENAME, [name, `${name}-renamed`]);
    });
    assert.deepEqual([await names(name), await names(`${name}-renamed`)], [0, 1]);
  }
});

test('when it fails, the transaction fails, nothing of it stays, and the connection goes on', async (t) => {
  const fresh = connect(database.url, { max: 1 });
  t.after(() => fresh.close());
  for (let round = 0; round < 2; round++) {
    await assert.rejects(
      fresh.db.transaction(async (tx) => {
        await insert(tx, 'gone');
        await runLast(tx, RENAME, ['gone', 'not a name']);
      }),
      /hosts_name_check/,
    );
    assert.equal(await names('gone'), 0);
    assert.equal((await fresh.db.execute(sql`select 1 as one`))[0]?.['one'], 1);
  }
});

test('it does not run when the transaction is given up, and runs at once without one', async () => {
  await assert.rejects(
    database.db.transaction(async (tx) => {
      await runLast(tx, 'insert into hosts (id, name) values ($1, $2)', [newId(), 'never']);
      throw new Error('given up');
    }),
    /given up/,
  );
  assert.equal(await names('never'), 0);
  await runLast(database.db, 'insert into hosts (id, name) values ($1, $2)', [newId(), 'at-once']);
  assert.equal(await names('at-once'), 1);
});

test('of a savepoint that is taken back nothing stays, and the transaction goes on', async () => {
  await database.db.transaction(async (tx) => {
    await assert.rejects(
      tx.transaction(async (inner) => {
        await insert(inner, 'inner');
        throw new Error('taken back');
      }),
      /taken back/,
    );
    await insert(tx, 'outer');
  });
  assert.deepEqual([await names('inner'), await names('outer')], [0, 1]);
});

test('a statement is prepared once for each connection, and not at all where the address says so', async (t) => {
  const prepared = async (url: string) => {
    const { db, close } = connect(url, { max: 1 });
    t.after(close);
    for (let round = 0; round < 3; round++) await db.select().from(hosts).where(eq(hosts.name, 'x'));
    const rows = await db.execute<{ statement: string }>(sql.raw('select statement from pg_prepared_statements'));
    return rows.filter(({ statement }) => statement.includes('from "hosts"')).length;
  };
  assert.equal(await prepared(database.url), 1);
  const url = new URL(database.url);
  url.searchParams.set('prepare', 'false');
  assert.equal(await prepared(url.href), 0);
});
