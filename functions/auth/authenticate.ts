/**
 * From a request to a principal: a bearer token, of ours or of an issuer that is trusted, else the session cookie.
 *
 * Guarantees: a request with a bad bearer token is refused even if its cookie is good; a cookie request that changes
 * something came from our own pages (`Origin`), so that another site cannot make a signed-in browser act.
 */
import { getCookie } from 'hono/cookie';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findSession } from '../../db/queries/find-session.ts';
import { findValidToken } from '../../db/queries/find-token.ts';
import { issuerExists } from '../../db/queries/issuer-exists.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { verifyExternal } from './external-token.ts';
import { readToken, verifyToken } from './jwt.ts';
import { requireOwnOrigin } from './origin.ts';
import type { Automation, Principal } from './principal.ts';
import { refused } from './refused.ts';
import { personOf, sessionCookie } from './session.ts';

/** Throws `UNAUTHENTICATED`, `ORIGIN_MISMATCH`, and what `verifyExternal` throws. */
export async function authenticate(c: AppContext, deps: AppDeps): Promise<Principal> {
  const authorization = c.req.header('authorization');
  if (authorization !== undefined) {
    const token = /^bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw refused('the Authorization header is not a bearer token');
    return automationOf(c, deps, token);
  }
  const cookie = getCookie(c, sessionCookie(c, deps).name);
  if (cookie === undefined) throw refused('this needs a credential');
  const person = await personOf(c, deps, cookie);
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') requireOwnOrigin(c, deps);
  return person;
}

async function automationOf(c: AppContext, deps: AppDeps, text: string): Promise<Automation> {
  const token = readToken(deps, text);
  if (token.payload['iss'] !== deps.issuer) return verifyExternal(c, deps, token);
  const jti = await verifyToken(deps, token);
  const row = await findValidToken(c.get('db'), jti);
  // The row decides what the token may do, so that nothing in it outlives a revocation.
  if (row === null) throw refused('the token was revoked');
  return {
    kind: 'automation',
    jti,
    issuerId: null,
    actor: row.subject,
    subject: row.subject,
    scopes: new Set(row.scopes),
    workloads: row.workloads === null ? null : new Set(row.workloads.map((id) => id.toLowerCase())),
    projects: row.projects === null ? null : new Set(row.projects),
    expiresAt: row.expiresAt,
  };
}

/** For a stream that outlives a request: does the credential still count? */
export async function stillValid(db: Queryable, principal: Principal, now: Date): Promise<boolean> {
  if (principal.kind === 'person') return (await findSession(db, principal.sessionId)) !== null;
  if (principal.issuerId === null) return (await findValidToken(db, principal.jti)) !== null;
  return principal.expiresAt > now && (await issuerExists(db, principal.issuerId));
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
