import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { sessions } from '../schema/sessions.ts';

/**
 * Gives the session a new `jti`; false if another request was faster.
 * @param from its `jti` until now; @param shown the one that the browser has, which stays good until it shows the new one
 */
export async function rotateSession(
  db: Queryable,
  id: string,
  { from, shown, to }: { readonly from: string; readonly shown: string; readonly to: string },
): Promise<boolean> {
  const rows = await db
    .update(sessions)
    .set({ jti: to, previousJti: shown, rotatedAt: sql`now()`, confirmedAt: null, lastSeenAt: sql`now()` })
    .where(and(eq(sessions.id, id), eq(sessions.jti, from), isNull(sessions.revokedAt)))
    .returning({ id: sessions.id });
  return rows.length === 1;
}
