import { eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';
import type { IssuerRow } from './find-issuer.ts';

export async function storeIssuerKeys(db: Queryable, id: string, jwks: NonNullable<IssuerRow['jwks']>): Promise<void> {
  await db.update(issuers).set({ jwks, jwksFetchedAt: sql`now()` }).where(eq(issuers.id, id));
}
