import { and, desc, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { behind, momentKey, type Seek } from '../page.ts';
import { sessions } from '../schema/sessions.ts';

export type SessionRow = typeof sessions.$inferSelect;

/** Those of one person that still count, the one that was used last first. `key` is the sort key. */
export async function listSessions(
  db: Queryable,
  personId: string,
  seek: Seek,
): Promise<{ session: SessionRow; key: string }[]> {
  return db
    .select({ session: sessions, key: momentKey(sessions.lastSeenAt) })
    .from(sessions)
    .where(
      and(
        eq(sessions.personId, personId),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, sql`now()`),
        behind('descending', sessions.lastSeenAt, sessions.id, seek),
      ),
    )
    .orderBy(desc(sessions.lastSeenAt), desc(sessions.id))
    .limit(seek.limit);
}
