/**
 * The registered claims of a token, the same for our own and for those of trusted issuers.
 *
 * Guarantees: all seven are there with their types; the token is for us, of that issuer, valid now within the skew, and not
 * meant to last longer than tokens of its kind may.
 */
import { refused } from './refused.ts';

/** How far another clock may be off, either way. */
export const SKEW_SECONDS = 60;

export interface ClaimsExpected {
  readonly issuer: string;
  readonly audience: string;
  readonly now: Date;
  /** From `iat` to `exp`. */
  readonly maxLifetimeSeconds: number;
}

export interface Claims {
  readonly sub: string;
  readonly jti: string;
  readonly expiresAt: Date;
}

/** @throws RefloatError `UNAUTHENTICATED` with the claim that is wrong */
export function checkClaims(payload: Readonly<Record<string, unknown>>, expected: ClaimsExpected): Claims {
  if (payload['iss'] !== expected.issuer) throw refused('the token is of another issuer (iss)');
  if (!isFor(payload['aud'], expected.audience)) throw refused('the token is for somebody else (aud)');
  const sub = textOf(payload, 'sub', 1024);
  const jti = textOf(payload, 'jti', 256);
  const [iat, nbf, exp] = [timeOf(payload, 'iat'), timeOf(payload, 'nbf'), timeOf(payload, 'exp')];
  const now = expected.now.getTime() / 1000;
  if (exp <= now - SKEW_SECONDS) throw refused('the token has expired (exp)');
  if (nbf > now + SKEW_SECONDS) throw refused('the token is not valid yet (nbf)');
  if (iat > now + SKEW_SECONDS) throw refused('the token was issued in the future (iat)');
  if (exp <= iat || exp <= nbf || exp - iat > expected.maxLifetimeSeconds)
    throw refused('the token has a life that no token has (exp, iat)');
  return { sub, jti, expiresAt: new Date(exp * 1000) };
}

/** One audience: who gets a token that is for several can use it with the others. */
function isFor(aud: unknown, audience: string): boolean {
  return Array.isArray(aud) ? aud.length === 1 && aud[0] === audience : aud === audience;
}

function textOf(payload: Readonly<Record<string, unknown>>, name: string, maxChars: number): string {
  const value = payload[name];
  if (typeof value === 'string' && value !== '' && value.length <= maxChars && !/[\p{Cc}\p{Cf}\p{Cs}]/u.test(value))
    return value;
  throw refused(`the token has no valid ${name}`);
}

function timeOf(payload: Readonly<Record<string, unknown>>, name: string): number {
  const value = payload[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 40) return value;
  throw refused(`the token has no valid ${name}`);
}
