/** Random secrets, their hashes, and Postgres password verifiers; Web Crypto only, so that it runs everywhere. */

/** 256 bits, base64url. */
export function randomSecret(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(32)));
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const SCRAM_ITERATIONS = 4096;

/**
 * What Postgres stores for a password (RFC 5803), so that the password itself is in no statement, and in no server log.
 * `password` must be ASCII: SASLprep is not applied.
 */
export async function scramVerifier(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(password), 'PBKDF2', false, ['deriveBits']);
  const salted = await crypto.subtle.deriveBits(
    { name: 'PBKDF2', hash: 'SHA-256', salt, iterations: SCRAM_ITERATIONS },
    key,
    256,
  );
  const stored = await crypto.subtle.digest('SHA-256', await hmac(salted, 'Client Key'));
  const server = await hmac(salted, 'Server Key');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${base64(salt)}$${base64(new Uint8Array(stored))}:${base64(new Uint8Array(server))}`;
}

async function hmac(key: ArrayBuffer, text: string): Promise<ArrayBuffer> {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(text));
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function base64Url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
