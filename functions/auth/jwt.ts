/**
 * Our own JWTs (RFC 8725): one algorithm, explicit type per use, every claim required.
 *
 * Guarantees: a session is never accepted where an automation token is meant, nor the other way round.
 * Does not guarantee: that it is not revoked; its row in `tokens` or `sessions` says so.
 */
import { compactVerify, type JWTPayload, SignJWT } from 'jose';
import { isUuid } from '../../db/ids.ts';
import { type Claims, checkClaims } from './claims.ts';
import { type CompactJwt, readCompactJwt } from './compact-jwt.ts';
import { type KeySet, MAX_TOKEN_SECONDS, SIGNING_ALGORITHM } from './key-set.ts';
import { refused } from './refused.ts';

const AUDIENCE = 'refloat-api';
/** Header `typ` by use. */
const TYPES = { automation: 'refloat-token+jwt', session: 'refloat-session+jwt' } as const;
type JwtKind = keyof typeof TYPES;

const REGISTERED = ['iss', 'aud', 'sub', 'jti', 'iat', 'nbf', 'exp'];
const CLAIM_BY_KIND = { automation: 'scope', session: 'sid' } as const satisfies Record<JwtKind, string>;
const MAX_LIFETIME_SECONDS = { automation: MAX_TOKEN_SECONDS, session: 24 * 3600 } as const satisfies Record<
  JwtKind,
  number
>;

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
  const { kid, key } = keys.signing(now());
  return new SignJWT(claims)
    .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: TYPES[kind], kid })
    .setIssuer(issuer)
    .setAudience(AUDIENCE)
    .setSubject(options.subject)
    .setJti(options.jti)
    .setIssuedAt(now())
    .setNotBefore(now())
    .setExpirationTime(options.expiresAt)
    .sign(key);
}

/** The `jti` of an automation token. Throws `UNAUTHENTICATED`, with the reason, for anything else. */
export async function verifyToken(context: JwtContext, token: CompactJwt): Promise<string> {
  return (await verified(context, token, 'automation')).jti;
}

/** What a session cookie names. Throws `UNAUTHENTICATED`, with the reason, for anything else. */
export async function verifySession(context: JwtContext, token: string): Promise<{ sessionId: string; jti: string }> {
  const { jti, sid } = await verified(context, readToken(context, token), 'session');
  if (typeof sid !== 'string' || !isUuid(sid)) throw refused('the session cookie names no session');
  return { sessionId: sid, jti };
}

/** As `readCompactJwt`; what was verified before is not read again. */
export function readToken({ keys }: Pick<JwtContext, 'keys'>, text: string): CompactJwt {
  return keys.verified.read(text) ?? readCompactJwt(text);
}

async function verified(
  { keys, issuer, now }: JwtContext,
  token: CompactJwt,
  kind: JwtKind,
): Promise<Claims & { sid: unknown }> {
  const { header, payload } = token;
  // We wrote it: nothing that we do not write is in it.
  requireOnly(header, ['alg', 'typ', 'kid'], 'header');
  requireOnly(payload, [...REGISTERED, CLAIM_BY_KIND[kind]], 'payload');
  if (header.alg !== SIGNING_ALGORITHM || header.typ !== TYPES[kind]) throw refused('the token is of another kind');
  if (typeof payload['aud'] !== 'string') throw refused('the token is for somebody else (aud)');
  if (typeof payload[CLAIM_BY_KIND[kind]] !== 'string') throw refused(`the token has no valid ${CLAIM_BY_KIND[kind]}`);
  const claims = checkClaims(payload, {
    issuer,
    audience: AUDIENCE,
    now: now(),
    maxLifetimeSeconds: MAX_LIFETIME_SECONDS[kind],
  });
  if (!isUuid(claims.jti)) throw refused('the token has no valid jti');
  const key = keys.verifying(header.kid, now());
  if (key === undefined) throw refused('the token is not signed with a key of this server');
  if (!keys.verified.isSignedWith(token.text, key)) await verifySignature(keys, token, key);
  return { ...claims, sid: payload['sid'] };
}

async function verifySignature({ verified: known }: KeySet, token: CompactJwt, key: CryptoKey): Promise<void> {
  try {
    await compactVerify(token.text, key, { algorithms: [SIGNING_ALGORITHM] });
  } catch {
    throw refused('the signature of the token is not valid');
  }
  known.remember(token, key);
}

function requireOnly(object: Readonly<Record<string, unknown>>, names: readonly string[], part: string): void {
  const other = Object.keys(object).find((name) => !names.includes(name));
  if (other !== undefined) throw refused(`the ${part} of the token has a member that ours have not`);
}
