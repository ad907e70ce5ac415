/**
 * The Ed25519 keys that sign and verify our tokens.
 *
 * The first key with a private part signs; every key verifies. To rotate, put a new key first, and drop the old one when
 * the last token that it signed has expired; a key without `d` still verifies.
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';

export const SIGNING_ALGORITHM = 'EdDSA';

export interface KeySet {
  readonly signing: { readonly kid: string; readonly key: CryptoKey };
  /** By `kid`: nothing else of a token's header selects a key. */
  readonly verifying: ReadonlyMap<string, CryptoKey>;
  /** What /.well-known/jwks.json answers. */
  readonly publicJwks: { readonly keys: readonly JWK[] };
}

const JWKS = z.object({
  keys: z
    .array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        d: z.string().optional(),
        kid: z.string().optional(),
      }),
    )
    .min(1)
    .max(16),
});

/** Parses REFLOAT_SIGNING_KEYS: a JWKS (RFC 7517) with private keys. Throws `CONFIG_INVALID`; the text is never quoted. */
export async function readKeySet(text: string): Promise<KeySet> {
  try {
    const verifying = new Map<string, CryptoKey>();
    const publicKeys: JWK[] = [];
    let signing: KeySet['signing'] | undefined;
    for (const jwk of JWKS.parse(JSON.parse(text)).keys) {
      const { kty, crv, x, d } = jwk;
      const kid = jwk.kid ?? (await calculateJwkThumbprint({ kty, crv, x }));
      if (verifying.has(kid)) throw new Error('two keys have the same kid');
      verifying.set(kid, await imported({ kty, crv, x }));
      publicKeys.push({ kty, crv, x, kid, alg: SIGNING_ALGORITHM, use: 'sig' });
      if (d !== undefined) signing ??= { kid, key: await imported({ kty, crv, x, d }) };
    }
    if (signing === undefined) throw new Error('no key has a private part');
    return { signing, verifying, publicJwks: { keys: publicKeys } };
  } catch {
    // The cause is dropped: it may quote key material.
    throw new RefloatError('CONFIG_INVALID', 'the signing keys cannot be read', {
      hint: 'Set REFLOAT_SIGNING_KEYS to what `refloat keys generate` prints: a JWKS of Ed25519 keys, at least one with "d".',
    });
  }
}

/** A new key set with one key, as JSON text; `older` are kept behind it, so that their tokens stay valid. */
export async function generateKeySet(older?: string): Promise<string> {
  if (older !== undefined) await readKeySet(older);
  const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { crv: 'Ed25519', extractable: true });
  const { kty, crv, x, d } = await exportJWK(privateKey);
  if (kty === undefined || crv === undefined || x === undefined)
    throw new Error('the generated key has no public part');
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  const kept = older === undefined ? [] : (JSON.parse(older) as { keys: unknown[] }).keys;
  return JSON.stringify({ keys: [{ kty, crv, x, d, kid, alg: SIGNING_ALGORITHM, use: 'sig' }, ...kept] });
}

async function imported(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, SIGNING_ALGORITHM);
  if (key instanceof Uint8Array) throw new Error('not an Ed25519 key');
  return key;
}
