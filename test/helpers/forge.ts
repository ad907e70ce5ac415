/** Tokens that nobody would write, to the byte: header and payload as text, signed by whatever key. */
import { createHmac, createPrivateKey, type KeyObject, sign as signBytes } from 'node:crypto';

type Json = Readonly<Record<string, unknown>>;

export interface Forgery {
  /** Text, or an object to be written as JSON. */
  readonly header: Json | string;
  readonly payload: Json | string | Uint8Array;
  /** Ed25519 or RSA (by SHA-256); a string: HMAC by SHA-256; null: no signature. */
  readonly key: KeyObject | string | Buffer | null;
}

export function forge({ header, payload, key }: Forgery): string {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${signature(input, key)}`;
}

export function part(value: Json | string | Uint8Array): string {
  return Buffer.from(value instanceof Uint8Array || typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  );
}

function signature(input: string, key: Forgery['key']): string {
  if (key === null) return '';
  if (typeof key === 'string' || Buffer.isBuffer(key))
    return createHmac('sha256', key).update(input).digest('base64url');
  const digest = key.asymmetricKeyType === 'rsa' ? 'sha256' : null;
  return signBytes(digest, Buffer.from(input), key).toString('base64url');
}

/** JSON with one member written twice, the second time with another value. */
export function twice(object: Json, name: string, second: unknown): string {
  return `${JSON.stringify(object).slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(second)}}`;
}

export function without(object: Json, name: string): Json {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}

/** The private key of a key set, as REFLOAT_SIGNING_KEYS has it. */
export function privateKeyOf(keySet: string): { readonly key: KeyObject; readonly jwk: Record<string, string> } {
  const [jwk] = (JSON.parse(keySet) as { keys: Record<string, string>[] }).keys;
  if (jwk === undefined) throw new Error('no key');
  return { key: createPrivateKey({ key: jwk, format: 'jwk' }), jwk };
}
