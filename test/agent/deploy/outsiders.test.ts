import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { findOutsiders, outsidersAmong } from '../../../agent/deploy/outsiders.ts';
import { testEngine } from '../../helpers/engine.ts';
import { startContainers, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());

async function mounting(name: string, source: string, readOnly = false): Promise<string> {
  const id = await real.create({ name, mounts: [{ type: 'bind', source, target: '/x', readOnly }] });
  await engine.start(id);
  return id;
}

test('whoever mounts the directory, one above it or one below it is named, also through a symbolic link', async () => {
  const workload = await testWorkload(real);
  const { live } = workload;
  await startContainers(real, workload);
  await mkdir(join(live, 'below'));
  await mkdir(`${live}-similar`);
  await symlink(live, `${live}-link`);
  const tag = workload.workload.id.slice(-8);
  await mounting(`same-${tag}`, live);
  await mounting(`above-${tag}`, dirname(live), true);
  await mounting(`below-${tag}`, join(live, 'below'));
  await mounting(`link-${tag}`, `${live}-link`);
  await mounting(`similar-${tag}`, `${live}-similar`);
  const found = (await findOutsiders(engine, workload.workload.id, [live])).filter(({ name }) => name.endsWith(tag));
  assert.deepEqual(found.map(({ name, path, readOnly }) => `${name} ${path} ${readOnly}`).sort(), [
    `above-${tag} ${live} true`,
    `below-${tag} ${live} false`,
    `link-${tag} ${live} false`,
    `same-${tag} ${live} false`,
  ]);
});

test('one that does not run is no outsider; a paused one is; the workload’s own only when nobody may', async () => {
  const workload = await testWorkload(real);
  const { live } = workload;
  const [own] = await startContainers(real, workload);
  const tag = workload.workload.id.slice(-8);
  const stopped = await mounting(`stopped-${tag}`, live);
  await engine.stop(stopped, 1);
  const paused = await mounting(`paused-${tag}`, live);
  await engine.pause(paused);
  assert.deepEqual(
    (await findOutsiders(engine, workload.workload.id, [live])).map(({ id }) => id),
    [paused],
  );
  assert.deepEqual(
    (await findOutsiders(engine, workload.workload.id, [live], [paused])).map(({ id }) => id),
    [],
  );
  assert.deepEqual((await findOutsiders(engine, null, [live])).map(({ id }) => id).sort(), [own, paused].sort());
});

test('a Docker volume is found by its directory on the host', async () => {
  const workload = await testWorkload(real);
  const name = `rf-test-${workload.workload.id.slice(-8)}`;
  await engine.createVolume(name, {});
  const mountPoint = (await engine.volume(name))?.mountPoint ?? '';
  const id = await real.create({
    name: `vol-${name}`,
    mounts: [{ type: 'volume', source: name, target: '/x', readOnly: false }],
  });
  await engine.start(id);
  assert.deepEqual(
    (await findOutsiders(engine, workload.workload.id, [mountPoint])).map((found) => found.id),
    [id],
  );
  await real.removeAll();
  await real.removeVolume(name);
});

test('every directory that a container uses is named, whichever of its mounts comes first, and as writable if one is', () => {
  const mount = (source: string, readWrite: boolean) =>
    ({ type: 'bind', source, destination: '/x', readWrite }) as const;
  const reads = mount('/nowhere/a', false);
  const writes = mount('/nowhere/b/below', true);
  const above = mount('/nowhere', false);
  const paths = ['/nowhere/a', '/nowhere/b', '/nowhere/c'];
  const found = (mounts: ReturnType<typeof mount>[]) =>
    outsidersAmong([{ id: 'id', name: 'name', labels: {}, mounts }], paths).map(
      ({ path, mounted, readOnly }) => `${path} by ${mounted} ${readOnly}`,
    );
  for (const mounts of [
    [reads, writes],
    [writes, reads],
  ])
    assert.deepEqual(found(mounts), ['/nowhere/a by /nowhere/a true', '/nowhere/b by /nowhere/b/below false']);
  assert.deepEqual(found([above, writes]), [
    '/nowhere/a by /nowhere true',
    '/nowhere/b by /nowhere/b/below false',
    '/nowhere/c by /nowhere true',
  ]);
  assert.deepEqual(found([mount('', true), mount('/nowhere/similar', true)]), []);
});
