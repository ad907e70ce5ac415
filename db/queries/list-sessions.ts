import { and, desc, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { sessions } from '../schema/sessions.ts';

export type SessionRow = typeof sessions.$inferSelect;

/** Those of one person that still count, the one that was used last first. */
export async function listSessions(db: Queryable, personId: string): Promise<SessionRow[]> {
  return db
    .select()
    .from(sessions)
    .where(and(eq(sessions.personId, personId), isNull(sessions.revokedAt), gt(sessions.expiresAt, sql`now()`)))
    .orderBy(desc(sessions.lastSeenAt), desc(sessions.id));
}
