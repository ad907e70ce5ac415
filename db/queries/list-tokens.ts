import { and, desc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { behind, momentKey, type Seek } from '../page.ts';
import { tokens } from '../schema/tokens.ts';
import type { TokenRow } from './find-token.ts';

/** Tokens of automation, newest first; revoked and expired ones too. `key` is the sort key. */
export async function listTokens(db: Queryable, seek: Seek): Promise<{ token: TokenRow; key: string }[]> {
  return db
    .select({ token: tokens, key: momentKey(tokens.createdAt) })
    .from(tokens)
    .where(and(eq(tokens.kind, 'automation'), behind('descending', tokens.createdAt, tokens.jti, seek)))
    .orderBy(desc(tokens.createdAt), desc(tokens.jti))
    .limit(seek.limit);
}
