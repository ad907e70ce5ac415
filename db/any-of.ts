import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** An array in Postgres' own notation: behind Hyperdrive the driver does not know arrays. */
export function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

/** The column is one of these. One parameter for any number of them: a list would be another statement to prepare for each length. */
export function isAnyOf(column: PgColumn, values: readonly string[]): SQL {
  return sql`${column} = any (${arrayText(values)}::text::${sql.raw(column.getSQLType())}[])`;
}
