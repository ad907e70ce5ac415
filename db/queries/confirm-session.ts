import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { sessions } from '../schema/sessions.ts';

/** The browser has shown the present `jti`: from now on the one before is good for a moment only. */
export async function confirmSession(db: Queryable, id: string, jti: string): Promise<void> {
  await db
    .update(sessions)
    .set({ confirmedAt: sql`now()` })
    .where(and(eq(sessions.id, id), eq(sessions.jti, jti), isNull(sessions.confirmedAt)));
}
