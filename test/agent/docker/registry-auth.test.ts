import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { registryAuth, registryOf } from '../../../agent/docker/registry-auth.ts';

const directory = mkdtempSync(join(tmpdir(), 'rfc-'));
after(() => rmSync(directory, { recursive: true }));

test('registries of references', () => {
  const hub = 'https://index.docker.io/v1/';
  const cases = {
    postgres: hub,
    'postgres:17': hub,
    'library/postgres': hub,
    'docker.io/x/y': hub,
    'ghcr.io/x/y:1': 'ghcr.io',
    'localhost/x': 'localhost',
    'host:5000/x@sha256:1': 'host:5000',
  };
  for (const [reference, registry] of Object.entries(cases)) assert.equal(registryOf(reference), registry, reference);
});

test('a registry gets its own credentials and no other’s', () => {
  const auth = Buffer.from('me:pass:word').toString('base64');
  writeFileSync(
    join(directory, 'config.json'),
    JSON.stringify({ auths: { 'ghcr.io': { auth }, 'helper.example': {} }, credsStore: 'desktop' }),
  );
  const environment = { DOCKER_CONFIG: directory };
  const header = registryAuth('ghcr.io/x/y', environment)['X-Registry-Auth'] ?? '';
  assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), {
    username: 'me',
    password: 'pass:word',
    serveraddress: 'ghcr.io',
  });
  for (const other of ['postgres', 'evil.ghcr.io/x', 'ghcr.io.evil/x', 'helper.example/x'])
    assert.deepEqual(registryAuth(other, environment), {});
  assert.deepEqual(registryAuth('ghcr.io/x', { DOCKER_CONFIG: '/nowhere' }), {});
});
