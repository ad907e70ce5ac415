import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkClaims, SKEW_SECONDS } from '../../../functions/auth/claims.ts';

const NOW = 1_800_000_000;
const expected = { issuer: 'i', audience: 'a', now: new Date(NOW * 1000), maxLifetimeSeconds: 1000 };
const claims = { iss: 'i', aud: 'a', sub: 's', jti: 'j', iat: NOW - 100, nbf: NOW - 100, exp: NOW + 100 };

test('times count to the second, with a minute of skew either way', () => {
  assert.equal(SKEW_SECONDS, 60);
  const good = [{}, { exp: NOW - 59 }, { nbf: NOW + 60 }, { iat: NOW + 60, nbf: NOW + 60 }, { exp: NOW + 900 }];
  const bad = [
    { exp: NOW - 60 },
    { nbf: NOW + 61 },
    { iat: NOW + 61, nbf: NOW },
    { exp: NOW + 901 },
    { exp: NOW - 100 },
    { iat: NOW - 200, nbf: NOW + 50, exp: NOW + 50 },
  ];
  for (const change of good)
    assert.doesNotThrow(() => checkClaims({ ...claims, ...change }, expected), JSON.stringify(change));
  for (const change of bad)
    assert.throws(
      () => checkClaims({ ...claims, ...change }, expected),
      { code: 'UNAUTHENTICATED' },
      JSON.stringify(change),
    );
});
