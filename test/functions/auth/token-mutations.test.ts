/**
 * A hundred thousand tokens that are nearly valid: none may be accepted. `REFLOAT_TEST_SEED` repeats a run.
 *
 * Valid is the text that was signed, and no other: a mutation that leaves the text as it was, or makes it that of another
 * valid token of the same kind, is not counted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importJWK } from 'jose';
import { newId } from '../../../db/ids.ts';
import { readCompactJwt } from '../../../functions/auth/compact-jwt.ts';
import { verifiedClaims } from '../../../functions/auth/external-token.ts';
import { mintSession, mintToken, readToken, verifySession, verifyToken } from '../../../functions/auth/jwt.ts';
import { generateKeySet, readKeySet } from '../../../functions/auth/key-set.ts';
import { AUDIENCE, testIssuer } from '../../helpers/issuer.ts';

const MUTATIONS = 100_000;
const seed = Number(process.env['REFLOAT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
let state = seed;
/** mulberry32 */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit: number): number => Math.floor(random() * limit);
const pick = <T>(values: readonly T[]): T => values[below(values.length)] ?? assert.fail();

interface Target {
  readonly name: string;
  readonly valid: readonly string[];
  readonly accepts: (token: string) => Promise<unknown>;
}

const now = new Date();
const context = {
  keys: await readKeySet(await generateKeySet()),
  issuer: 'https://refloat.example.org',
  now: () => now,
};
const expiresAt = new Date(now.getTime() + 600_000);
const mintOne = () => mintToken(context, { jti: newId(), subject: 'ci', scopes: ['restores:create'], expiresAt });
const sessionOne = () => mintSession(context, { jti: newId(), subject: newId(), sessionId: newId(), expiresAt });

async function external(alg: 'RS256' | 'ES256'): Promise<Target> {
  const issuer = await testIssuer(alg);
  const key = (await importJWK({ ...issuer.keys().publicJwk }, alg)) as CryptoKey;
  const facts = { issuer: issuer.url, audience: AUDIENCE, algorithms: [alg] };
  return {
    name: `a trusted issuer's ${alg} token`,
    valid: [await issuer.token(), await issuer.token()],
    accepts: async (token) => verifiedClaims(readCompactJwt(token), facts, now, () => Promise.resolve(key)),
  };
}

const TARGETS: readonly Target[] = [
  {
    name: 'a token of ours',
    valid: [await mintOne(), await mintOne()],
    accepts: async (token) => verifyToken(context, readToken(context, token)),
  },
  {
    name: 'a session cookie',
    valid: [await sessionOne(), await sessionOne()],
    accepts: (token) => verifySession(context, token),
  },
  await external('RS256'),
  await external('ES256'),
];

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const ODD = [...ALPHABET, '=', '+', '/', '.', ' ', '\n', '\0', '"', '~', 'é'];
const VALUES = [
  'null',
  'true',
  '0',
  '-1',
  '1e400',
  '99999999999',
  '""',
  '"x"',
  '[]',
  '{}',
  '"none"',
  '["refloat-api"]',
];

function replaceAt(text: string, at: number, count: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + count);
}

/** The mutation of one part, of its bytes or of its JSON, written back in canonical base64url. */
function inPart(token: string, change: (bytes: Buffer) => Buffer): string {
  const parts = token.split('.');
  const index = below(parts.length);
  parts[index] = change(Buffer.from(parts[index] ?? '', 'base64url')).toString('base64url');
  return parts.join('.');
}

const OPERATORS: readonly ((token: string, other: string) => string)[] = [
  (token) => replaceAt(token, below(token.length), 1, pick([...ALPHABET])),
  (token) => replaceAt(token, below(token.length), 1, pick(ODD)),
  (token) => replaceAt(token, below(token.length), 1, ''),
  (token) => replaceAt(token, below(token.length + 1), 0, pick(ODD)),
  (token) => token.slice(0, below(token.length)),
  (token) => token.slice(1 + below(token.length - 1)),
  (token) => token + pick(['=', '==', '.', 'A', '\n', ' ', '.AAAA']),
  (token) => {
    const at = below(token.length - 1);
    return replaceAt(token, at, 2, `${token[at + 1]}${token[at]}`);
  },
  (token) => token.replaceAll('-', '+').replaceAll('_', '/'),
  (token) => {
    const at = below(token.length);
    const character = token[at] ?? '';
    return replaceAt(
      token,
      at,
      1,
      character === character.toLowerCase() ? character.toUpperCase() : character.toLowerCase(),
    );
  },
  // The last character of a part holds bits that may say nothing: the twins of base64.
  (token) => {
    const parts = token.split('.');
    const index = below(3);
    const part = parts[index] ?? '';
    parts[index] = part.slice(0, -1) + ALPHABET[(ALPHABET.indexOf(part.at(-1) ?? '') ^ (1 + below(15))) % 64];
    return parts.join('.');
  },
  (token, other) => {
    const [mine, theirs] = [token.split('.'), other.split('.')];
    mine[below(3)] = theirs[below(3)] ?? '';
    return mine.join('.');
  },
  (token) =>
    inPart(token, (bytes) => {
      const copy = Buffer.from(bytes);
      const at = below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
      return copy;
    }),
  (token) => inPart(token, (bytes) => Buffer.concat([bytes, Buffer.from([below(256)])])),
  (token) => inPart(token, (bytes) => bytes.subarray(0, Math.max(1, bytes.length - 1 - below(4)))),
  (token) =>
    inPart(token, (bytes) =>
      Buffer.from(bytes.toString('latin1').replace(/:("[^"]*"|\d+)/, `:${pick(VALUES)}`), 'latin1'),
    ),
  (token) =>
    inPart(token, (bytes) =>
      Buffer.from(
        bytes.toString('latin1').replace('{', `{"${pick(['alg', 'kid', 'exp', 'sub', 'x'])}":${pick(VALUES)},`),
        'latin1',
      ),
    ),
  (token) =>
    inPart(token, (bytes) => Buffer.from(bytes.toString('latin1').replace(/,"[^"]*":("[^"]*"|\d+)/, ''), 'latin1')),
  (token) =>
    inPart(token, (bytes) => Buffer.from(bytes.toString('latin1').replace(/"([a-z0-9]+)":/, ' "$1" :'), 'latin1')),
];

test(`of ${MUTATIONS} mutations of valid tokens none is accepted (seed ${seed})`, async (context_) => {
  context_.diagnostic(`seed ${seed}`);
  for (const { name, valid, accepts } of TARGETS)
    for (const token of valid) await assert.doesNotReject(accepts(token), `the reference is good: ${name}`);
  for (let done = 0; done < MUTATIONS; ) {
    const { name, valid, accepts } = pick(TARGETS);
    const original = pick(valid);
    let mutated = original;
    for (let count = 1 + below(3); count > 0; count--) mutated = pick(OPERATORS)(mutated, pick(valid));
    if (valid.includes(mutated)) continue;
    done += 1;
    const refusal = await accepts(mutated).then(
      () => null,
      (error: { code?: string }) => error.code,
    );
    assert.equal(refusal, 'UNAUTHENTICATED', `${name}, seed ${seed}: ${JSON.stringify(mutated)}`);
  }
});
