import { lt, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { type ChallengePurpose, challenges } from '../schema/challenges.ts';

export interface NewChallenge {
  readonly hash: string;
  readonly purpose: ChallengePurpose;
  readonly sessionId: string | null;
  readonly facts?: Readonly<Record<string, string>>;
  readonly ttlSeconds: number;
}

/** Removes those that have expired as well, so that the table stays as small as what is under way. */
export async function insertChallenge(db: Queryable, { ttlSeconds, ...challenge }: NewChallenge): Promise<void> {
  await db.delete(challenges).where(lt(challenges.expiresAt, sql`now()`));
  await db.insert(challenges).values({ ...challenge, expiresAt: sql`now() + make_interval(secs => ${ttlSeconds})` });
}
