import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { dockerOptions } from '../../../agent/docker/docker-host.ts';
import type { RefloatError } from '../../../db/errors.ts';

test('addresses of engines', () => {
  const { socketPath, host } = dockerOptions('unix:///run/x.sock', {});
  assert.deepEqual([socketPath, host], ['/run/x.sock', undefined]);
  const plain = dockerOptions('tcp://10.0.0.1:2375', {});
  assert.deepEqual([plain.protocol, plain.host, plain.port], ['http', '10.0.0.1', 2375]);
  assert.equal(dockerOptions('10.0.0.1:2375', {}).host, '10.0.0.1');
  assert.equal(dockerOptions('tcp://[::1]:2375', {}).host, '::1');
  assert.equal(dockerOptions('tcp://h:2376', {}).protocol, 'https');
  assert.equal(dockerOptions('tcp://h', { DOCKER_TLS_VERIFY: '1' }).port, 2376);
  const ssh = dockerOptions('ssh://me@host:2222', { SSH_AUTH_SOCK: '/agent' });
  assert.deepEqual(
    [ssh.protocol, ssh.username, ssh.host, ssh.port, ssh.sshOptions],
    ['ssh', 'me', 'host', 2222, { agent: '/agent' }],
  );
  assert.equal(dockerOptions('ssh://host', {}).username, 'root');
});

test('what docker-modem describes before every call is short', () => {
  for (const address of ['unix:///run/x.sock', 'tcp://10.0.0.1:2375']) {
    const { agent } = dockerOptions(address, {});
    assert.equal(inspect(agent, { showHidden: true, depth: null }), 'Agent');
  }
});

test('what is no address is refused by name', () => {
  for (const bad of ['unix://', 'unix://relative', 'ftp://host', 'tcp://', 'npipe:////./pipe/x']) {
    assert.throws(
      () => dockerOptions(bad, {}),
      (error: RefloatError) => error.code === 'CONFIG_INVALID' && error.message.includes(bad),
      bad,
    );
  }
  assert.throws(
    () => dockerOptions('tcp://h:2376', { DOCKER_CERT_PATH: '/nowhere' }),
    (error: RefloatError) => error.code === 'CONFIG_INVALID',
  );
});
