/** The session cookie of people, and the origin that their requests must come from. */
import { RefloatError } from '../../db/errors.ts';
import type { AppContext, AppDeps } from '../deps.ts';

export const SESSION_HOURS = 12;

export interface SessionCookie {
  readonly name: string;
  readonly secure: boolean;
}

/** `__Host-` binds the cookie to this very host over HTTPS; plain HTTP, which browsers refuse it on, is for loopback. */
export function sessionCookie(c: AppContext, deps: AppDeps): SessionCookie {
  return ownOrigin(c, deps).startsWith('https:')
    ? { name: '__Host-refloat', secure: true }
    : { name: 'refloat_session', secure: false };
}

/** Scheme, host and port that people use: REFLOAT_PUBLIC_URL, or the address of this request. */
function ownOrigin(c: AppContext, deps: AppDeps): string {
  return deps.publicOrigin ?? new URL(c.req.url).origin;
}

/** Throws `ORIGIN_MISMATCH` unless the browser says that one of our own pages sent this. */
export function requireOwnOrigin(c: AppContext, deps: AppDeps): void {
  const origin = c.req.header('origin');
  if (origin === ownOrigin(c, deps)) return;
  throw new RefloatError('ORIGIN_MISMATCH', 'this request does not come from a page of this console', {
    hint: 'Behind a proxy, set REFLOAT_PUBLIC_URL to the address in the browser. Scripts send a bearer token instead of the cookie.',
  });
}

/** Throws `HTTPS_REQUIRED` where a session cookie would travel in the clear between machines. */
export function requireSafeTransport(c: AppContext, deps: AppDeps): void {
  const { protocol, hostname } = new URL(ownOrigin(c, deps));
  if (
    protocol === 'https:' ||
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    hostname.startsWith('127.')
  )
    return;
  throw new RefloatError('HTTPS_REQUIRED', 'people can sign in over HTTPS only, or over HTTP on this very machine', {
    hint: 'Put a proxy with TLS in front and set REFLOAT_PUBLIC_URL to its https:// address.',
  });
}
