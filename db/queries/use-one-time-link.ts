import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { oneTimeLinks } from '../schema/one-time-links.ts';

/** Uses a secret up; null if it is unknown, used, expired, or meant for something else. Of two at once, one gets the row. */
export async function useOneTimeLink(
  db: Queryable,
  hash: string,
  purpose: 'sign-in' | 'enrollment',
): Promise<typeof oneTimeLinks.$inferSelect | null> {
  const rows = await db
    .update(oneTimeLinks)
    .set({ usedAt: sql`now()` })
    .where(
      and(
        eq(oneTimeLinks.hash, hash),
        eq(oneTimeLinks.purpose, purpose),
        isNull(oneTimeLinks.usedAt),
        gt(oneTimeLinks.expiresAt, sql`now()`),
      ),
    )
    .returning();
  return rows[0] ?? null;
}
