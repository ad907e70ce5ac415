import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createEngine } from '../../../agent/docker/dockerode-engine.ts';
import { ensureEngine, startPrivateEngine } from '../../../agent/docker/private-engine.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { testEngine } from '../../helpers/engine.ts';

// Installs the daemon where it is missing.
const real = await testEngine();
const base = mkdtempSync(join(tmpdir(), 'rfp-'));
after(() => rmSync(base, { recursive: true, force: true }));

function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory));
}

test('an engine that answers is used and not stopped', async () => {
  const handle = await ensureEngine({
    dockerHost: real.dockerHost,
    install: true,
    directory: join(base, 'unused'),
    say: () => assert.fail('nothing to say'),
  });
  assert.deepEqual([handle.dockerHost, handle.isPrivate], [real.dockerHost, false]);
  await handle.stop();
  await real.engine.ping();
  assert.equal(existsSync(join(base, 'unused')), false);
});

test('DOCKER_HOST is honoured: when nothing answers there, nothing else is tried', async () => {
  const dockerHost = `unix://${base}/no.sock`;
  await assert.rejects(
    ensureEngine({ dockerHost, install: true, directory: base, say: () => undefined }),
    (error: RefloatError) => error.code === 'ENGINE_UNAVAILABLE' && error.hint !== '',
  );
});

test('a private engine starts in its own directory, is found again, survives a kill, and leaves nothing', async () => {
  // Longer than a socket's path may be.
  const directory = join(base, 'a-rather-long-name-for-a-directory'.repeat(4));
  mkdirSync(directory, { recursive: true });
  const said: string[] = [];
  const first = await startPrivateEngine(directory, (line) => said.push(line));
  assert.equal(said.length, 1);
  assert.ok(first.dockerHost.length < 'unix://'.length + 100);
  assert.notEqual((await createEngine(first.dockerHost).ping()).version, 'unknown');
  assert.ok(existsSync(join(directory, 'data')));

  const again = await startPrivateEngine(directory, () => assert.fail('it runs already'));
  assert.equal(again.dockerHost, first.dockerHost);

  await first.stop('SIGKILL');
  const third = await startPrivateEngine(directory);
  await createEngine(third.dockerHost).ping();
  await third.stop();
  await assert.rejects(
    createEngine(third.dockerHost).ping(),
    (error: RefloatError) => error.code === 'ENGINE_UNAVAILABLE',
  );
  assert.deepEqual(mountsBelow(directory), []);
  assert.equal(existsSync(third.dockerHost.slice('unix://'.length)), false);
});

test('a daemon that cannot start is an error that ends with its own words', async () => {
  const directory = join(base, 'broken');
  mkdirSync(directory);
  writeFileSync(join(directory, 'data'), 'a file where the data directory should be');
  await assert.rejects(startPrivateEngine(directory), (error: RefloatError) => {
    assert.equal(error.code, 'ENGINE_UNAVAILABLE');
    assert.match(error.message, /its log ends with: .*data/);
    return true;
  });
});
