import type { Queryable } from '../client.ts';
import { tokens } from '../schema/tokens.ts';
import type { TokenRow } from './find-token.ts';

export async function insertToken(db: Queryable, token: typeof tokens.$inferInsert): Promise<TokenRow> {
  const rows = await db.insert(tokens).values(token).returning();
  const row = rows[0];
  if (row === undefined) throw new Error('an insert returned no row');
  return row;
}
