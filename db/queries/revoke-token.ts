import { and, eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { tokens } from '../schema/tokens.ts';
import type { TokenRow } from './find-token.ts';

/** Revoked now, or was before; null if there is no such token of this kind. */
export async function revokeToken(db: Queryable, jti: string, kind: TokenRow['kind']): Promise<TokenRow | null> {
  const rows = await db
    .update(tokens)
    .set({ revokedAt: sql`coalesce(${tokens.revokedAt}, now())` })
    .where(and(eq(tokens.jti, jti), eq(tokens.kind, kind)))
    .returning();
  return rows[0] ?? null;
}
