import { eq, type SQL, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { type ProofKind, sessions } from '../schema/sessions.ts';

/**
 * The person has proved again who they are.
 * @param to a new `jti`, so that a copy of the cookie gains nothing; undefined keeps the present one
 */
export async function proveSession(
  db: Queryable,
  id: string,
  proof: { readonly kind: ProofKind; readonly at: SQL },
  to: string | undefined,
): Promise<void> {
  const rotation =
    to === undefined
      ? {}
      : {
          jti: to,
          previousJti: sql`${sessions.jti}`,
          rotatedAt: sql`now()`,
          confirmedAt: null,
          lastSeenAt: sql`now()`,
        };
  await db
    .update(sessions)
    .set({ proofKind: proof.kind, proofAt: proof.at, ...rotation })
    .where(eq(sessions.id, id));
}
