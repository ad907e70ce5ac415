import { and, eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';

/** True for one caller, once per cool-down: it fetches the keys, and the others do without. */
export async function takeIssuerFetch(db: Queryable, id: string, coolDownSeconds: number): Promise<boolean> {
  const rows = await db
    .update(issuers)
    .set({ jwksTriedAt: sql`now()` })
    .where(
      and(
        eq(issuers.id, id),
        sql`(${issuers.jwksTriedAt} is null or ${issuers.jwksTriedAt} < now() - make_interval(secs => ${coolDownSeconds}))`,
      ),
    )
    .returning({ id: issuers.id });
  return rows.length === 1;
}
