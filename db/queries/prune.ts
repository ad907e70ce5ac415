import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

/** What may go, and when: table, and the condition of a row that means nothing any more. */
const PRUNED = {
  rate_limits: sql`full_at < now()`,
  idempotency_keys: sql`created_at < now() - interval '1 day'`,
  // A while longer than they work, so that a list still shows what has just ended.
  one_time_links: sql`expires_at < now() - interval '1 day'`,
  challenges: sql`expires_at < now()`,
  sessions: sql`coalesce(revoked_at, expires_at) < now() - interval '30 days'`,
  tokens: sql`expires_at < now() - interval '30 days'`,
} as const;
export type PrunedTable = keyof typeof PRUNED;
export const PRUNED_TABLES = Object.keys(PRUNED) as readonly PrunedTable[];

/** Rows removed in one statement at most, so that none holds locks for long. */
const BATCH = 10_000;

/** Removes what has expired from one table; the number of rows. */
export async function prune(db: Queryable, table: PrunedTable): Promise<number> {
  const name = sql.identifier(table);
  const [row] = await db.execute<{ removed: number }>(sql`
    with gone as (
      delete from ${name} where ctid = any (array(select ctid from ${name} where ${PRUNED[table]} limit ${BATCH} for update skip locked))
      returning 1)
    select count(*)::int as removed from gone`);
  return row?.removed ?? 0;
}
