import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIGRATIONS, migrate, missingMigrations } from '../../db/migrate.ts';
import { testDatabase } from '../helpers/postgres.ts';

test('eight processes that migrate at once apply each migration once', async () => {
  const database = await testDatabase({ empty: true });
  assert.equal((await missingMigrations(database.sql)).length, MIGRATIONS.length);
  const names = MIGRATIONS.map((migration) => migration.name);
  const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(database.url)));
  // One may go on where another has stopped.
  assert.deepEqual(applied.flat().sort(), names);
  assert.deepEqual(await missingMigrations(database.sql), []);
});

test('a migration that changed after it was applied is refused', async () => {
  const database = await testDatabase({ empty: true });
  await migrate(database.url, [{ name: 'a', sql: 'create table a ()' }]);
  await assert.rejects(migrate(database.url, [{ name: 'a', sql: 'create table b ()' }]), { code: 'MIGRATION_CHANGED' });
  await assert.rejects(migrate(database.url, [{ name: 'b', sql: 'create table b ()' }]), { code: 'MIGRATION_CHANGED' });
});

test('a migration that fails half-way leaves nothing behind and can be run again', async () => {
  const database = await testDatabase({ empty: true });
  const broken = { name: 'a', sql: 'create table a (); select 1/0' };
  await assert.rejects(migrate(database.url, [broken]));
  assert.deepEqual(await missingMigrations(database.sql, [broken]), ['a']);
  assert.deepEqual(await migrate(database.url, [{ name: 'a', sql: 'create table a ()' }]), ['a']);
});

test('what a failing statement says holds neither parameters nor the connection string', async () => {
  const { toRefloatError } = await import('../../db/errors.ts');
  const database = await testDatabase();
  const { eq } = await import('drizzle-orm');
  const { hosts } = await import('../../db/schema/index.ts');
  const failing = database.db.select().from(hosts).where(eq(hosts.id, 'secret-parameter'));
  const error = await failing.then(() => undefined, toRefloatError);
  assert.equal(error?.code, 'INTERNAL');
  assert.doesNotMatch(JSON.stringify(error) + String(error), /secret-parameter/);
});
