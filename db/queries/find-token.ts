import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import { builtOnce, type Queryable } from '../client.ts';
import { tokens } from '../schema/tokens.ts';

export type TokenRow = typeof tokens.$inferSelect;

const query = builtOnce((db) =>
  db
    .select()
    .from(tokens)
    .where(and(eq(tokens.jti, sql.placeholder('jti')), isNull(tokens.revokedAt), gt(tokens.expiresAt, sql`now()`)))
    .prepare('find_valid_token'),
);

/** The token's row if it still counts: minted by us, not revoked, not expired by the database's clock. */
export async function findValidToken(db: Queryable, jti: string): Promise<TokenRow | null> {
  const rows = await query(db).execute({ jti });
  return rows[0] ?? null;
}
