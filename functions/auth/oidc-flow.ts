/** The way to the issuer and back, and the cookie that holds it to one browser. */
import { getCookie, setCookie } from 'hono/cookie';
import { RefloatError } from '../../db/errors.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { keepChallenge, takeChallenge } from './challenge.ts';
import { arrive, type Claims, depart, type OidcClient } from './oidc.ts';
import { ownOrigin } from './origin.ts';
import { randomSecret, sha256Hex } from './secrets.ts';
import { FRESH_PROOF_SECONDS } from './session.ts';

const CALLBACK_PATH = '/api/session/oidc/callback';
const COOKIE_SECONDS = 300;

/** Throws `OIDC_NOT_CONFIGURED`. */
export function requireOidc(deps: AppDeps): OidcClient {
  if (deps.oidc !== undefined) return deps.oidc;
  throw new RefloatError('OIDC_NOT_CONFIGURED', 'no issuer is set up at which people could sign in', {
    hint: 'Set REFLOAT_OIDC_ISSUER, REFLOAT_OIDC_CLIENT_ID and REFLOAT_OIDC_ROLES on the server.',
  });
}

/**
 * Where to send the browser. It gets a cookie that its answer must come with.
 * @param sessionId of the session that wants a fresh proof; null to sign in
 * @param returnTo page of the console to come back to
 */
export async function beginOidc(
  c: AppContext,
  deps: AppDeps,
  sessionId: string | null,
  returnTo: string,
): Promise<{ url: string }> {
  const maxAge = sessionId === null ? undefined : FRESH_PROOF_SECONDS;
  const { url, ...departure } = await depart(requireOidc(deps), redirectUri(c, deps), maxAge);
  const browser = randomSecret();
  await keepChallenge(c.get('db'), sessionId === null ? 'oidc-sign-in' : 'oidc-proof', departure.state, sessionId, {
    nonce: departure.nonce,
    verifier: departure.verifier,
    browser: await sha256Hex(browser),
    returnTo,
  });
  const { name, secure } = flowCookie(c, deps);
  // Lax: the issuer's redirect comes from another site.
  setCookie(c, name, browser, { path: '/', httpOnly: true, secure, sameSite: 'Lax', maxAge: COOKIE_SECONDS });
  return { url };
}

export interface Arrival {
  readonly claims: Claims;
  /** Null: to sign in. */
  readonly sessionId: string | null;
  readonly returnTo: string;
}

/** Throws `CHALLENGE_INVALID`, `OIDC_FAILED` or `OIDC_UNAVAILABLE`. What is thrown has used the attempt up. */
export async function endOidc(c: AppContext, deps: AppDeps): Promise<Arrival> {
  const oidc = requireOidc(deps);
  const { search, searchParams } = new URL(c.req.url);
  const state = searchParams.get('state') ?? '';
  const taken = await takeChallenge(c.get('db'), ['oidc-sign-in', 'oidc-proof'], state, undefined);
  if (taken instanceof RefloatError) throw taken;
  const { nonce = '', verifier = '', browser = '', returnTo = '/' } = taken.facts;
  const { name, secure } = flowCookie(c, deps);
  const shown = getCookie(c, name) ?? '';
  setCookie(c, name, '', { path: '/', httpOnly: true, secure, sameSite: 'Lax', maxAge: 0 });
  if ((await sha256Hex(shown)) !== browser) {
    throw new RefloatError('CHALLENGE_INVALID', 'this attempt to sign in was begun in another browser', {
      hint: 'Begin again.',
    });
  }
  const maxAge = taken.purpose === 'oidc-proof' ? FRESH_PROOF_SECONDS : undefined;
  const answer = new URL(redirectUri(c, deps) + search);
  return {
    claims: await arrive(oidc, answer, { state, nonce, verifier }, maxAge),
    sessionId: taken.sessionId,
    returnTo,
  };
}

function redirectUri(c: AppContext, deps: AppDeps): string {
  return ownOrigin(c, deps) + CALLBACK_PATH;
}

function flowCookie(c: AppContext, deps: AppDeps): { name: string; secure: boolean } {
  return ownOrigin(c, deps).startsWith('https:')
    ? { name: '__Host-refloat-oidc', secure: true }
    : { name: 'refloat_oidc', secure: false };
}
