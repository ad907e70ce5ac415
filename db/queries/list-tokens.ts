import { desc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { tokens } from '../schema/tokens.ts';
import type { TokenRow } from './find-token.ts';

/** Tokens of automation, newest first; revoked and expired ones too. */
export async function listTokens(db: Queryable, limit: number): Promise<TokenRow[]> {
  return db.select().from(tokens).where(eq(tokens.kind, 'automation')).orderBy(desc(tokens.createdAt)).limit(limit);
}
