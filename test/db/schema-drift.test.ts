import assert from 'node:assert/strict';
import { test } from 'node:test';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import * as schema from '../../db/schema/index.ts';
import { testDatabase } from '../helpers/postgres.ts';

/** Tables that only the database's own functions use. */
const INTERNAL = ['audit_head', 'intent_transitions', 'schema_migrations'];

interface ColumnFacts {
  readonly type: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
}

test('the migrated database has exactly the tables, columns, types and keys of the schema in TypeScript', async () => {
  const { sql } = await testDatabase();
  const columns = await sql<{ table: string; name: string; type: string; notnull: boolean; hasdefault: boolean }[]>`
    select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as notnull, a.atthasdef as hasdefault
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
      and c.relname <> all (${INTERNAL})`;
  const actual: Record<string, Record<string, ColumnFacts>> = {};
  for (const { table, name, type, notnull, hasdefault } of columns) {
    const facts = actual[table] ?? {};
    facts[name] = { type, notNull: notnull, hasDefault: hasdefault };
    actual[table] = facts;
  }
  const expected: Record<string, Record<string, ColumnFacts>> = {};
  for (const table of Object.values(schema).filter((each) => is(each, PgTable))) {
    const config = getTableConfig(table);
    const keys = new Set(config.primaryKeys.flatMap((key) => key.columns.map((column) => column.name)));
    expected[config.name] = Object.fromEntries(
      config.columns.map((column) => [
        column.name,
        { type: column.getSQLType(), notNull: column.notNull || keys.has(column.name), hasDefault: column.hasDefault },
      ]),
    );
  }
  assert.deepEqual(sorted(actual), sorted(expected));
});

function sorted(tables: Record<string, Record<string, ColumnFacts>>): unknown {
  const byName = <T>(record: Record<string, T>): [string, T][] =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return byName(tables).map(([name, columns]) => [
    name,
    byName(columns).map(([column, facts]) => [
      column,
      facts.type.replace('timestamp with time zone', 'timestamptz'),
      facts.notNull,
      facts.hasDefault,
    ]),
  ]);
}
