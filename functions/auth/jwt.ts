/**
 * Our own JWTs (RFC 8725): one algorithm, explicit type per use, every claim required.
 *
 * Guarantees: a session is never accepted where an automation token is meant, nor the other way round.
 * Does not guarantee: that the token is not revoked; its row in `tokens` says so.
 */
import { errors, jwtVerify, SignJWT } from 'jose';
import { RefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import { type KeySet, SIGNING_ALGORITHM } from './key-set.ts';

const AUDIENCE = 'refloat-api';
/** Header `typ` by use. */
const TYPES = { automation: 'refloat-token+jwt', session: 'refloat-session+jwt' } as const;
export type TokenKind = keyof typeof TYPES;

/** Longer ones are refused unread. */
const MAX_TOKEN_CHARS = 8192;
const CLOCK_TOLERANCE_SECONDS = 5;

export interface JwtContext {
  readonly keys: KeySet;
  readonly issuer: string;
  readonly now: () => Date;
}

export interface MintOptions {
  readonly kind: TokenKind;
  readonly jti: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date;
}

export async function mintJwt({ keys, issuer, now }: JwtContext, options: MintOptions): Promise<string> {
  return new SignJWT({ scope: options.scopes.join(' ') })
    .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: TYPES[options.kind], kid: keys.signing.kid })
    .setIssuer(issuer)
    .setAudience(AUDIENCE)
    .setSubject(options.subject)
    .setJti(options.jti)
    .setIssuedAt(now())
    .setNotBefore(now())
    .setExpirationTime(options.expiresAt)
    .sign(keys.signing.key);
}

/** The token's `jti`. Throws `UNAUTHENTICATED`, with the reason, for anything that is not a valid token of this kind. */
export async function verifyJwt({ keys, issuer, now }: JwtContext, token: string, kind: TokenKind): Promise<string> {
  if (token.length > MAX_TOKEN_CHARS) throw refused('the token is too long');
  try {
    const { payload } = await jwtVerify(
      token,
      (header) => {
        const key = header.kid === undefined ? undefined : keys.verifying.get(header.kid);
        if (key === undefined) throw refused('the token is not signed with a key of this server');
        return key;
      },
      {
        algorithms: [SIGNING_ALGORITHM],
        typ: TYPES[kind],
        issuer,
        audience: AUDIENCE,
        requiredClaims: ['iss', 'aud', 'sub', 'jti', 'iat', 'nbf', 'exp'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: now(),
      },
    );
    if (payload.jti === undefined || !isUuid(payload.jti)) throw refused('the token has no valid jti');
    return payload.jti;
  } catch (error) {
    if (error instanceof RefloatError) throw error;
    if (error instanceof errors.JWTExpired) throw refused('the token has expired');
    if (error instanceof errors.JOSEError) throw refused(`the token is not valid (${error.code})`);
    throw refused('the token is not valid');
  }
}

export function refused(why: string): RefloatError {
  return new RefloatError('UNAUTHENTICATED', why, {
    hint: 'Send a token of this server as "Authorization: Bearer …" (refloat token create), or sign in at the console.',
  });
}
