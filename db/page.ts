/** Lists by pages. The database looks behind the last row that was shown: no row comes twice or is missed while others come and go. */
import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';

/** Where a page begins and how many rows it has at most. */
export interface Seek {
  /** Sort key, as Postgres writes it, and id of the last row of the page before; undefined: the first page. */
  readonly after?: { readonly key: string; readonly id: string };
  readonly limit: number;
}

/** More than any list has. */
export const ALL: Seek = { limit: 2 ** 31 - 1 };

/** The rows behind `after` of a list in order of `key`, then `id`; undefined, which drizzle's `and` drops, for the first page. */
export function behind(
  order: 'ascending' | 'descending',
  key: SQL | AnyPgColumn,
  id: AnyPgColumn,
  { after }: Seek,
): SQL | undefined {
  if (after === undefined) return undefined;
  return sql`(${key}, ${id}) ${sql.raw(order === 'ascending' ? '>' : '<')} (${after.key}, ${after.id})`;
}

/** A moment as a sort key: all of its microseconds, which a `Date` has not. */
export function momentKey(column: AnyPgColumn): SQL<string> {
  return sql<string>`${column}::text`;
}
