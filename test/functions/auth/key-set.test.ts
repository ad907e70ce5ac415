import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../db/ids.ts';
import { readCompactJwt } from '../../../functions/auth/compact-jwt.ts';
import { mintToken, readToken, verifyToken } from '../../../functions/auth/jwt.ts';
import { generateKeySet, MAX_TOKEN_SECONDS, readKeySet, rotateKeySet } from '../../../functions/auth/key-set.ts';

const START = new Date('2026-01-01T00:00:00Z');
const after = (seconds: number): Date => new Date(START.getTime() + seconds * 1000);
const at = async (text: string, now: Date) => ({
  keys: await readKeySet(text),
  issuer: 'https://r.example',
  now: () => now,
});

async function mint(text: string, now: Date, seconds: number): Promise<string> {
  return mintToken(await at(text, now), {
    jti: newId(),
    subject: 'ci',
    scopes: [],
    expiresAt: new Date(now.getTime() + seconds * 1000),
  });
}

async function accepts(text: string, token: string, now: Date): Promise<boolean> {
  return verifyToken(await at(text, now), readCompactJwt(token)).then(
    () => true,
    () => false,
  );
}

test('while the new set is put everywhere, handlers with either set accept each other’s tokens', async () => {
  const before = await generateKeySet();
  const rotated = await rotateKeySet(before, { now: START, overlapSeconds: 900 });
  assert.ok(await accepts(before, await mint(rotated, after(1), 600), after(2)), 'the old key still signs');
  assert.ok(await accepts(rotated, await mint(before, after(1), 600), after(2)));
  const late = await mint(rotated, after(901), 600);
  assert.equal(await accepts(before, late, after(902)), false, 'the new one signs');
  assert.ok(await accepts(rotated, late, after(902)));
  assert.equal((await readKeySet(rotated)).publicJwks(after(1)).keys.length, 2, 'both are published');
});

test('a token lives as long as it was meant to, over two rotations, and its key not a day longer', async () => {
  const first = await generateKeySet();
  const second = await rotateKeySet(first, { now: START, overlapSeconds: 900 });
  const longest = await mint(second, after(899), MAX_TOKEN_SECONDS);
  const third = await rotateKeySet(second, { now: after(86_400), overlapSeconds: 0 });
  const last = after(899 + MAX_TOKEN_SECONDS - 1);
  assert.ok(await accepts(third, longest, last));
  assert.equal((await readKeySet(third)).publicJwks(last).keys.length, 3);
  const end = after(900 + MAX_TOKEN_SECONDS);
  assert.equal((await readKeySet(third)).publicJwks(end).keys.length, 2, 'the first key has ended');
  const fourth = JSON.parse(await rotateKeySet(third, { now: end, overlapSeconds: 900 })) as { keys: { d?: string }[] };
  assert.equal(fourth.keys.length, 3, 'and is dropped');
  assert.equal(
    fourth.keys.filter(({ d }) => d !== undefined).length,
    2,
    'of keys that no longer sign only the public part is kept',
  );
});

test('a rotation within the overlap leaves one key that signs now', async () => {
  const first = await generateKeySet();
  const twice = await rotateKeySet(await rotateKeySet(first, { now: START, overlapSeconds: 900 }), {
    now: after(10),
    overlapSeconds: 900,
  });
  assert.ok(await accepts(first, await mint(twice, after(20), 600), after(20)));
});

test('keys that were stolen end at once, with every token of theirs', async () => {
  const stolen = await generateKeySet();
  const token = await mint(stolen, START, 600);
  const rotated = await rotateKeySet(stolen, { now: START, overlapSeconds: 900, drop: true });
  assert.equal(await accepts(rotated, token, after(1)), false);
  assert.ok(await accepts(rotated, await mint(rotated, after(1), 600), after(1)));
  assert.equal((JSON.parse(rotated) as { keys: unknown[] }).keys.length, 1);
});

test('a set without a key that signs, with one kid twice, or of other keys, is refused and not quoted', async () => {
  const { keys } = JSON.parse(await generateKeySet()) as { keys: Record<string, unknown>[] };
  const [{ d, ...open } = {}] = keys;
  for (const bad of [
    { keys: [] },
    { keys: [open] },
    { keys: [...keys, ...keys] },
    { keys: [{ kty: 'oct', k: 'AAAA' }] },
    7,
    null,
  ])
    await assert.rejects(readKeySet(JSON.stringify(bad)), (error: Error) => !error.message.includes(String(d)));
});

test('a token that was verified before counts no longer than it would otherwise', async () => {
  const text = await rotateKeySet(await generateKeySet(), { now: START, overlapSeconds: 0 });
  const keys = JSON.parse(text) as { keys: Record<string, unknown>[] };
  const ends = { keys: keys.keys.map((key) => ({ ...key, exp: START.getTime() / 1000 + 60 })) };
  const context = async (set: object) => ({ ...(await at(JSON.stringify(set), START)), now: () => now });
  let now = START;
  for (const [set, seconds] of [
    [keys, 600 + 61],
    [ends, 61],
  ] as const) {
    now = START;
    const one = await context(set);
    const token = await mintToken(one, { jti: newId(), subject: 'ci', scopes: [], expiresAt: after(600) });
    const ask = async () => verifyToken(one, readToken(one, token));
    await ask();
    assert.ok(one.keys.verified.read(token), 'it is remembered');
    await ask();
    now = after(seconds);
    await assert.rejects(ask(), { code: 'UNAUTHENTICATED' });
  }
});
