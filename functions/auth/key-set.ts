/**
 * The Ed25519 keys that sign and verify our tokens: a JWKS whose keys may say from when they sign (`nbf`) and until when
 * they verify (`exp`), in seconds.
 *
 * Guarantees: the first key with a private part whose time has come signs; every key verifies until its end, also one whose
 * time to sign has not come, so that handlers with the new set and with the old one accept each other's tokens.
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { VerifiedTokens } from './verified-tokens.ts';

export const SIGNING_ALGORITHM = 'EdDSA';
/** No token of ours lives longer. */
export const MAX_TOKEN_SECONDS = 90 * 24 * 3600;

export interface KeySet {
  signing(now: Date): { readonly kid: string; readonly key: CryptoKey };
  /** By `kid`: nothing else of a token's header selects a key. */
  verifying(kid: string, now: Date): CryptoKey | undefined;
  /** What its keys have verified. */
  readonly verified: VerifiedTokens;
  /** What /.well-known/jwks.json answers. */
  publicJwks(now: Date): { readonly keys: readonly JWK[] };
}

const SECONDS = z
  .int()
  .min(0)
  .max(2 ** 40)
  .optional();
const JWKS = z.object({
  keys: z
    .array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        d: z.string().optional(),
        kid: z.string().min(1).optional(),
        nbf: SECONDS,
        exp: SECONDS,
      }),
    )
    .min(1)
    .max(16),
});

interface Key {
  readonly kid: string;
  readonly publicJwk: JWK;
  readonly verifies: CryptoKey;
  readonly signs: CryptoKey | undefined;
  readonly from: number;
  readonly until: number;
}

/** Parses REFLOAT_SIGNING_KEYS. Throws `CONFIG_INVALID`; the text is never quoted. */
export async function readKeySet(text: string): Promise<KeySet> {
  try {
    const keys = await Promise.all(JWKS.parse(JSON.parse(text)).keys.map(readKey));
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw new Error('two keys have the same kid');
    if (!keys.some(({ signs }) => signs !== undefined)) throw new Error('no key has a private part');
    return {
      signing: (now) => signingKey(keys, seconds(now)),
      verifying: (kid, now) => keys.find((key) => key.kid === kid && key.until > seconds(now))?.verifies,
      verified: new VerifiedTokens(),
      publicJwks: (now) => ({
        keys: keys.filter(({ until }) => until > seconds(now)).map(({ publicJwk }) => publicJwk),
      }),
    };
  } catch {
    // The cause is dropped: it may quote key material.
    throw new RefloatError('CONFIG_INVALID', 'the signing keys cannot be read', {
      hint: 'Set REFLOAT_SIGNING_KEYS to what `refloat keys generate` prints: a JWKS of Ed25519 keys, at least one with "d".',
    });
  }
}

async function readKey({ kty, crv, x, d, ...jwk }: z.output<typeof JWKS>['keys'][number]): Promise<Key> {
  const kid = jwk.kid ?? (await calculateJwkThumbprint({ kty, crv, x }));
  return {
    kid,
    publicJwk: { kty, crv, x, kid, alg: SIGNING_ALGORITHM, use: 'sig' },
    verifies: await imported({ kty, crv, x }),
    signs: d === undefined ? undefined : await imported({ kty, crv, x, d }),
    from: jwk.nbf ?? 0,
    until: jwk.exp ?? Number.POSITIVE_INFINITY,
  };
}

function signingKey(keys: readonly Key[], now: number): { kid: string; key: CryptoKey } {
  const able = keys.filter(({ signs, until }) => signs !== undefined && until > now);
  // A clock that is behind must not leave the server without a key.
  const key = able.find(({ from }) => from <= now) ?? able[0];
  if (key?.signs !== undefined) return { kid: key.kid, key: key.signs };
  throw new RefloatError('CONFIG_INVALID', 'every signing key has come to its end', {
    hint: 'Make a new one: refloat keys rotate.',
  });
}

/** A new key set with one key, as JSON text. */
export async function generateKeySet(): Promise<string> {
  return JSON.stringify({ keys: [await generateKey()] });
}

export interface Rotation {
  readonly now: Date;
  /** Until every handler has the new set, the old key signs. 0: the new one at once. */
  readonly overlapSeconds: number;
  /** Keys that were stolen: dropped, and with them every token that they signed. */
  readonly drop?: boolean;
}

/**
 * A new key before those of `text`, which verify until the last token that they can have signed has expired; what came to
 * its end is dropped, and so are private parts that no longer sign.
 * @throws RefloatError `CONFIG_INVALID` when `text` is no key set
 */
export async function rotateKeySet(text: string, { now, overlapSeconds, drop = false }: Rotation): Promise<string> {
  const { kid: signer } = (await readKeySet(text)).signing(now);
  const switchAt = Math.ceil(seconds(now)) + (drop ? 0 : overlapSeconds);
  const kept: Record<string, unknown>[] = [];
  for (const jwk of drop ? [] : (JSON.parse(text) as { keys: Record<string, unknown>[] }).keys) {
    const { kid } = await readKey(jwk as Parameters<typeof readKey>[0]);
    const exp = typeof jwk['exp'] === 'number' ? jwk['exp'] : switchAt + MAX_TOKEN_SECONDS;
    if (exp <= seconds(now)) continue;
    const { d, ...publicPart } = jwk;
    kept.push({ ...publicPart, kid, ...(kid === signer && overlapSeconds > 0 ? { d } : {}), exp });
  }
  const key = await generateKey();
  return JSON.stringify({ keys: [overlapSeconds > 0 && !drop ? { ...key, nbf: switchAt } : key, ...kept] });
}

async function generateKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { crv: 'Ed25519', extractable: true });
  const { kty, crv, x, d } = await exportJWK(privateKey);
  if (kty === undefined || crv === undefined || x === undefined)
    throw new Error('the generated key has no public part');
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return { kty, crv, x, ...(d === undefined ? {} : { d }), kid, alg: SIGNING_ALGORITHM, use: 'sig' };
}

async function imported(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, SIGNING_ALGORITHM);
  if (key instanceof Uint8Array) throw new Error('not an Ed25519 key');
  return key;
}

function seconds(moment: Date): number {
  return moment.getTime() / 1000;
}
