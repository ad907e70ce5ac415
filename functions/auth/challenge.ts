/** Challenges that are used once, by whichever handler gets the answer; the database has their SHA-256. */
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { insertChallenge } from '../../db/queries/insert-challenge.ts';
import { type ChallengeRow, useChallenge } from '../../db/queries/use-challenge.ts';
import type { ChallengePurpose } from '../../db/schema/challenges.ts';
import { sha256Hex } from './secrets.ts';

/** How long a person may take. */
const TTL_SECONDS = 300;

export async function keepChallenge(
  db: Queryable,
  purpose: ChallengePurpose,
  challenge: string,
  sessionId: string | null,
  facts: Readonly<Record<string, string>> = {},
): Promise<void> {
  await insertChallenge(db, { hash: await sha256Hex(challenge), purpose, sessionId, facts, ttlSeconds: TTL_SECONDS });
}

/** A refusal to return, not to throw: what was shown is used up also when nothing comes of it. */
export async function takeChallenge(
  db: Queryable,
  purposes: readonly ChallengePurpose[],
  challenge: string,
  sessionId: string | null | undefined,
): Promise<ChallengeRow | RefloatError> {
  const row = await useChallenge(db, await sha256Hex(challenge), purposes, sessionId);
  return (
    row ??
    new RefloatError('CHALLENGE_INVALID', 'this attempt to sign in is unknown, used or expired', {
      hint: 'Begin again.',
    })
  );
}
