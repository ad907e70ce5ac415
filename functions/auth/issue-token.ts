import type { Queryable } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import type { TokenRow } from '../../db/queries/find-token.ts';
import { insertToken } from '../../db/queries/insert-token.ts';
import { type JwtContext, mintToken } from './jwt.ts';

export interface TokenWish {
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly workloads: readonly string[] | null;
  readonly projects?: readonly string[] | null;
  readonly createdBy: string;
  readonly ttlSeconds: number;
}

/** Mints a JWT and writes the row without which it does not count. The JWT is in the answer only. */
export async function issueToken(
  db: Queryable,
  context: JwtContext,
  wish: TokenWish,
): Promise<{ jwt: string; row: TokenRow }> {
  const jti = newId();
  // Whole seconds, as in the JWT.
  const expiresAt = new Date(Math.floor(context.now().getTime() / 1000 + wish.ttlSeconds) * 1000);
  const row = await insertToken(db, {
    jti,
    kind: 'automation',
    subject: wish.subject,
    scopes: [...wish.scopes],
    workloads: wish.workloads === null ? null : [...wish.workloads],
    projects: wish.projects == null ? null : [...wish.projects],
    createdBy: wish.createdBy,
    expiresAt,
  });
  const { subject, scopes } = wish;
  return { jwt: await mintToken(context, { jti, subject, scopes, expiresAt }), row };
}
