import { and, eq, gt, inArray, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { type ChallengePurpose, challenges } from '../schema/challenges.ts';

export type ChallengeRow = typeof challenges.$inferSelect;

/**
 * Uses a challenge up; null if it is unknown, used, expired, for something else, or of another session. Of two at once, one
 * gets the row.
 * @param sessionId undefined: whatever session it is for
 */
export async function useChallenge(
  db: Queryable,
  hash: string,
  purposes: readonly ChallengePurpose[],
  sessionId: string | null | undefined,
): Promise<ChallengeRow | null> {
  const ofSession =
    sessionId === undefined
      ? undefined
      : sessionId === null
        ? isNull(challenges.sessionId)
        : eq(challenges.sessionId, sessionId);
  const rows = await db
    .delete(challenges)
    .where(
      and(
        eq(challenges.hash, hash),
        inArray(challenges.purpose, [...purposes]),
        ofSession,
        gt(challenges.expiresAt, sql`now()`),
      ),
    )
    .returning();
  return rows[0] ?? null;
}
