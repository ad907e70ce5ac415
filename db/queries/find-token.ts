import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { tokens } from '../schema/tokens.ts';

export type TokenRow = typeof tokens.$inferSelect;

/** The token's row if it still counts: minted by us, not revoked, not expired by the database's clock. */
export async function findValidToken(db: Queryable, jti: string): Promise<TokenRow | null> {
  const rows = await db
    .select()
    .from(tokens)
    .where(and(eq(tokens.jti, jti), isNull(tokens.revokedAt), gt(tokens.expiresAt, sql`now()`)));
  return rows[0] ?? null;
}
