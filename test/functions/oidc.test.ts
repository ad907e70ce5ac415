import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOidcConfig } from '../../functions/auth/oidc-config.ts';
import { startNodeControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { Visitor } from '../helpers/visitor.ts';
import { oidcSuite } from './oidc-suite.ts';

oidcSuite('an OIDC issuer on Node', async (env) => startNodeControlPlane(await testDatabase(), env));

test('a wrong configuration is named before anybody signs in', () => {
  const good = { REFLOAT_OIDC_ISSUER: 'https://issuer.example', REFLOAT_OIDC_CLIENT_ID: 'refloat' };
  assert.equal(readOidcConfig({}), undefined);
  assert.deepEqual(readOidcConfig(good)?.rules, []);
  for (const change of [
    { REFLOAT_OIDC_ISSUER: 'http://issuer.example' },
    { REFLOAT_OIDC_ISSUER: 'issuer.example' },
    { REFLOAT_OIDC_CLIENT_ID: '' },
    { REFLOAT_OIDC_ROLES: '{' },
    { REFLOAT_OIDC_ROLES: '{}' },
    { REFLOAT_OIDC_ROLES: '[{"claim":"groups","value":"a","role":"root"}]' },
    { REFLOAT_OIDC_ROLES: '[{"claim":"groups","value":"a","role":"viewer","projects":[]}]' },
    { REFLOAT_OIDC_ROLES: '[{"claim":"groups","values":["a"],"role":"viewer"}]' },
  ])
    assert.throws(() => readOidcConfig({ ...good, ...change }), { code: 'CONFIG_INVALID' }, JSON.stringify(change));
});

test('an issuer that is away refuses, and is asked again when it is back', async () => {
  const plane = await startNodeControlPlane(await testDatabase(), {
    REFLOAT_OIDC_ISSUER: 'http://localhost:1',
    REFLOAT_OIDC_CLIENT_ID: 'refloat',
  });
  try {
    const answer = await new Visitor(plane).call('POST', '/api/session/oidc', {});
    assert.deepEqual([answer.status, answer.body.code], [503, 'OIDC_UNAVAILABLE']);
  } finally {
    await plane.close();
  }
});

test('without an issuer there is none to sign in at', async () => {
  const plane = await startNodeControlPlane(await testDatabase());
  try {
    const visitor = new Visitor(plane);
    assert.equal((await visitor.call('GET', '/api/session/ways')).body.oidc, null);
    assert.equal((await visitor.call('POST', '/api/session/oidc', {})).body.code, 'OIDC_NOT_CONFIGURED');
    const callback = await visitor.call('GET', '/api/session/oidc/callback?state=a&code=b');
    assert.equal(callback.headers.get('location'), '/?problem=OIDC_NOT_CONFIGURED');
  } finally {
    await plane.close();
  }
});
