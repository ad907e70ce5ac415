/** The address that people use, which their requests must come from. */
import { RefloatError } from '../../db/errors.ts';
import type { AppContext, AppDeps } from '../deps.ts';

/** Scheme, host and port that people use: REFLOAT_PUBLIC_URL, or the address of this request. */
export function ownOrigin(c: AppContext, deps: AppDeps): string {
  return deps.publicOrigin ?? new URL(c.req.url).origin;
}

export function isHttps(c: AppContext, deps: AppDeps): boolean {
  return (deps.publicOrigin ?? c.req.url).startsWith('https:');
}

/** Throws `ORIGIN_MISMATCH` unless the browser says that one of our own pages sent this. */
export function requireOwnOrigin(c: AppContext, deps: AppDeps): void {
  const origin = c.req.header('origin');
  if (origin === ownOrigin(c, deps)) return;
  throw new RefloatError('ORIGIN_MISMATCH', 'this request does not come from a page of this console', {
    hint: 'Behind a proxy, set REFLOAT_PUBLIC_URL to the address in the browser. Scripts send a bearer token instead of the cookie.',
  });
}

/** A request that signs somebody in: not from a page of another site, which could sign its visitor in as somebody else. */
export function requireSafeSignIn(c: AppContext, deps: AppDeps): void {
  // A browser always says where a POST comes from; a script has no cookies that could be put upon it.
  if (c.req.header('origin') !== undefined) requireOwnOrigin(c, deps);
  requireSafeTransport(c, deps);
}

/** Throws `HTTPS_REQUIRED` where a session cookie would travel in the clear between machines. */
function requireSafeTransport(c: AppContext, deps: AppDeps): void {
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
