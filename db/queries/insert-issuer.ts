import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';
import type { IssuerRow } from './find-issuer.ts';

/** Null if there is one of this name, or for this issuer. Its keys have just been fetched. */
export async function insertIssuer(
  db: Queryable,
  issuer: Pick<IssuerRow, 'id' | 'name' | 'issuer' | 'audience' | 'algorithms' | 'rules' | 'createdBy' | 'jwks'>,
): Promise<IssuerRow | null> {
  const rows = await db
    .insert(issuers)
    .values({ ...issuer, jwksFetchedAt: sql`now()`, jwksTriedAt: sql`now()` })
    .onConflictDoNothing()
    .returning();
  return rows[0] ?? null;
}
