import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

/** Names of the applied migrations; none in an empty database. */
export async function listMigrations(db: Queryable): Promise<string[]> {
  const [table] = await db.execute<{ there: boolean }>(
    sql`select to_regclass('public.schema_migrations') is not null as there`,
  );
  if (table?.there !== true) return [];
  return (await db.execute<{ name: string }>(sql`select name from public.schema_migrations order by name`)).map(
    (row) => row.name,
  );
}
