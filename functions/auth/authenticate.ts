/**
 * From a request to a principal: a bearer token, else the session cookie.
 *
 * Guarantees: a request with a bad bearer token is refused even if its cookie is good; a cookie request that changes
 * something came from our own pages (`Origin`), so that another site cannot make a signed-in browser act.
 */
import { getCookie } from 'hono/cookie';
import { RefloatError } from '../../db/errors.ts';
import { findValidToken } from '../../db/queries/find-token.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { refused, type TokenKind, verifyJwt } from './jwt.ts';
import type { Principal } from './principal.ts';
import { requireOwnOrigin, sessionCookie } from './session.ts';

/** Throws `UNAUTHENTICATED` or `ORIGIN_MISMATCH`. */
export async function authenticate(c: AppContext, deps: AppDeps): Promise<Principal> {
  const authorization = c.req.header('authorization');
  if (authorization !== undefined) {
    const token = /^bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw refused('the Authorization header is not a bearer token');
    return principalOf(c, deps, token, 'automation');
  }
  const cookie = getCookie(c, sessionCookie(c, deps).name);
  if (cookie === undefined) throw refused('this needs a credential');
  const principal = await principalOf(c, deps, cookie, 'session');
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') requireOwnOrigin(c, deps);
  return principal;
}

async function principalOf(c: AppContext, deps: AppDeps, token: string, kind: TokenKind): Promise<Principal> {
  const jti = await verifyJwt(deps, token, kind);
  const row = await findValidToken(c.get('db'), jti);
  // The row decides what the token may do, so that nothing in it outlives a revocation.
  if (row === null || row.kind !== kind) throw refused('the token was revoked');
  return {
    jti,
    subject: row.subject,
    scopes: new Set(row.scopes),
    workloads: row.workloads === null ? null : new Set(row.workloads.map((id) => id.toLowerCase())),
    via: kind === 'session' ? 'cookie' : 'bearer',
    expiresAt: row.expiresAt,
  };
}

/** For a stream that outlives a request: does the token still count? */
export async function stillValid(c: AppContext, principal: Principal): Promise<boolean> {
  return (await findValidToken(c.get('db'), principal.jti)) !== null;
}

/** Throws `FORBIDDEN` unless `granted` lies within what the principal may do itself. */
export function requireNoMore(principal: Principal, granted: readonly string[]): void {
  const beyond = granted.filter((scope) => !principal.scopes.has(scope));
  if (beyond.length === 0) return;
  throw new RefloatError('FORBIDDEN', `you do not have ${beyond.join(', ')} yourself`, {
    hint: 'A token can only pass on scopes that its maker has.',
    details: { scopes: beyond },
  });
}
