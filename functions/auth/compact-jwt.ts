/**
 * Reading a JWT before anything of it is believed (RFC 8725).
 *
 * Guarantees: there is one way to write what is accepted: three parts in canonical base64url, JSON objects in UTF-8 without
 * duplicate members, no extension that changes what is signed, no token inside the token. Keys that a header brings along
 * or points to are nobody's business and are not read.
 * Does not guarantee: the signature, and what the claims say.
 */
import { refused } from './refused.ts';

/** In characters; longer ones are refused unread. */
const MAX_TOKEN_CHARS = 8192;

export interface CompactJwt {
  readonly text: string;
  readonly header: {
    readonly alg: string;
    readonly typ: string;
    readonly kid: string;
    readonly [more: string]: unknown;
  };
  readonly payload: Readonly<Record<string, unknown>>;
}

/** @throws RefloatError `UNAUTHENTICATED` */
export function readCompactJwt(text: string): CompactJwt {
  if (text.length > MAX_TOKEN_CHARS) throw refused('the token is too long');
  const parts = text.split('.');
  const [head, body, signature] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined || signature === '')
    throw refused('the token is not a signed JWT in compact form');
  bytesOf(signature);
  const header = objectOf(head, 'header');
  const { alg, typ, kid } = header;
  if (typeof alg !== 'string' || typeof typ !== 'string' || typeof kid !== 'string')
    throw refused('the header of the token lacks alg, typ or kid');
  // `b64` changes what is signed, `zip` and `enc` are of encryption, `cty` says that a token is nested.
  for (const name of ['crit', 'b64', 'zip', 'enc', 'cty'])
    if (Object.hasOwn(header, name)) throw refused(`the header of the token has ${name}`);
  return { text, header: { ...header, alg, typ, kid }, payload: objectOf(body, 'payload') };
}

function objectOf(part: string, name: string): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOf(part));
    value = JSON.parse(text);
  } catch {
    throw refused(`the ${name} of the token is not JSON`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw refused(`the ${name} of the token is not an object`);
  if (membersWritten(text) !== membersOf(value)) throw refused(`the ${name} of the token has a member twice`);
  return value as Record<string, unknown>;
}

/** Without padding, without other alphabets, and without bits that say nothing: every text has one spelling. */
function bytesOf(part: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]+$/.test(part) || part.length % 4 === 1) throw refused('the token is not base64url');
  const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
  if (btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '') !== part)
    throw refused('the token is not base64url in its canonical form');
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** In valid JSON every colon outside of strings belongs to one member. */
function membersWritten(json: string): number {
  return json.replaceAll(/"(?:[^"\\]|\\.)*"/gs, '').split(':').length - 1;
}

/** Of duplicates `JSON.parse` keeps the last one. */
function membersOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  const inner = Object.values(value).reduce<number>((sum, member) => sum + membersOf(member), 0);
  return Array.isArray(value) ? inner : inner + Object.keys(value).length;
}
