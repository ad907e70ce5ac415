import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';
import type { IssuerRow } from './find-issuer.ts';

/** Null if there is no such issuer. */
export async function deleteIssuer(db: Queryable, id: string): Promise<IssuerRow | null> {
  const rows = await db.delete(issuers).where(eq(issuers.id, id)).returning();
  return rows[0] ?? null;
}
