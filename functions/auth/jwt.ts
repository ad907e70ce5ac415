/**
 * Our own JWTs (RFC 8725): one algorithm, explicit type per use, every claim required.
 *
 * Guarantees: a session is never accepted where an automation token is meant, nor the other way round.
 * Does not guarantee: that it is not revoked; its row in `tokens` or `sessions` says so.
 */
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { RefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import { type KeySet, SIGNING_ALGORITHM } from './key-set.ts';

const AUDIENCE = 'refloat-api';
/** Header `typ` by use. */
const TYPES = { automation: 'refloat-token+jwt', session: 'refloat-session+jwt' } as const;
type JwtKind = keyof typeof TYPES;

/** Longer ones are refused unread. */
const MAX_TOKEN_CHARS = 8192;
const CLOCK_TOLERANCE_SECONDS = 5;

export interface JwtContext {
  readonly keys: KeySet;
  readonly issuer: string;
  readonly now: () => Date;
}

interface MintOptions {
  readonly jti: string;
  readonly subject: string;
  readonly expiresAt: Date;
}

/** A bearer token of automation. */
export async function mintToken(
  context: JwtContext,
  { scopes, ...options }: MintOptions & { readonly scopes: readonly string[] },
): Promise<string> {
  return mint(context, 'automation', { scope: scopes.join(' ') }, options);
}

/** A session cookie; the subject is the person's id. */
export async function mintSession(
  context: JwtContext,
  { sessionId, ...options }: MintOptions & { readonly sessionId: string },
): Promise<string> {
  return mint(context, 'session', { sid: sessionId }, options);
}

async function mint(
  { keys, issuer, now }: JwtContext,
  kind: JwtKind,
  claims: JWTPayload,
  options: MintOptions,
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: TYPES[kind], kid: keys.signing.kid })
    .setIssuer(issuer)
    .setAudience(AUDIENCE)
    .setSubject(options.subject)
    .setJti(options.jti)
    .setIssuedAt(now())
    .setNotBefore(now())
    .setExpirationTime(options.expiresAt)
    .sign(keys.signing.key);
}

/** The `jti` of an automation token. Throws `UNAUTHENTICATED`, with the reason, for anything else. */
export async function verifyToken(context: JwtContext, token: string): Promise<string> {
  return (await verified(context, token, 'automation')).jti;
}

/** What a session cookie names. Throws `UNAUTHENTICATED`, with the reason, for anything else. */
export async function verifySession(context: JwtContext, token: string): Promise<{ sessionId: string; jti: string }> {
  const { jti, sid } = await verified(context, token, 'session');
  if (typeof sid !== 'string' || !isUuid(sid)) throw refused('the session cookie names no session');
  return { sessionId: sid, jti };
}

async function verified(
  { keys, issuer, now }: JwtContext,
  token: string,
  kind: JwtKind,
): Promise<JWTPayload & { jti: string }> {
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
    const { jti } = payload;
    if (jti === undefined || !isUuid(jti)) throw refused('the token has no valid jti');
    return { ...payload, jti };
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
