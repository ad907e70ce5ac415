/** Containers that something else created become a workload, and stay what they are. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ContainerSpec } from '../../agent/docker/engine.ts';
import { testEngine } from '../helpers/engine.ts';
import { restorableOf } from '../helpers/restorable.ts';
import { type CommandEnd, type RunningAgent, startStack } from '../helpers/stack.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);
let agent: RunningAgent | null = null;
after(async () => {
  await agent?.stop();
});

/** With an environment of its own. */
async function freshAgent(environment: Record<string, string> = {}): Promise<void> {
  await agent?.stop();
  agent = await stack.startAgent(environment);
}

const adopt = (...args: string[]): Promise<CommandEnd> => stack.refloat(['workload', 'adopt', ...args]);

function adopted(ended: CommandEnd) {
  assert.equal(ended.code, 0, JSON.stringify(ended.json) + ended.stderr);
  const { workload } = ended.json;
  engine.ownWorkload(workload.id);
  return { workload: restorableOf(stack, workload), config: workload.config, containers: workload.containers };
}

/** As \`docker run\` or Compose would. */
async function foreign(name: string, spec: Partial<ContainerSpec> = {}): Promise<{ id: string; live: string }> {
  const live = join(stack.allowedRoot, name);
  mkdirSync(live, { recursive: true });
  const id = await engine.create({
    name,
    env: { PASSWORD: 'secret', MODE: 'x=y' },
    mounts: [{ type: 'bind', source: live, target: '/volumes/data', readOnly: false }],
    restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
    stopTimeoutSeconds: 3,
    ...spec,
  });
  await engine.engine.start(id);
  return { id, live };
}

const named = (what: string) => `${what}-${process.pid}`;

test('one that docker run made: captured and restored as it is, and replaced only when a person says that nothing is missing', async () => {
  const name = named('legacy');
  // The agent runs already, and reports every half minute: what is younger is asked for.
  await freshAgent();
  const { id, live } = await foreign(name);
  const { workload, config, containers } = adopted(await adopt(name));
  assert.deepEqual(
    [config.name, config.image, config.network, config.restart, config.stopTimeoutSeconds, config.replicas],
    [name, engine.image, 'none', 'unless-stopped', 3, 1],
  );
  assert.deepEqual(config.volumes, [
    { name: 'data', scope: 'absolute', source: live, target: '/volumes/data', readOnly: false },
  ]);
  assert.deepEqual([config.env, config.command], [{}, undefined], 'neither secrets nor what the image says anyway');
  assert.equal(config.adopted.incomplete[0], 'environment (MODE, PASSWORD)');
  assert.deepEqual(
    containers.map((one: { id: string }) => one.id),
    [id],
  );
  const stored = await stack.call('GET', '/api/workloads');
  assert.ok(!JSON.stringify(stored.body).includes('secret'));

  writeFileSync(join(live, 'which'), 'good');
  const snapshot = await workload.capture();
  writeFileSync(join(live, 'which'), 'bad');
  const started = (await engine.engine.inspect(id))?.startedAt;
  const restore = await workload.restored(snapshot);
  assert.deepEqual([restore.result.recreated, restore.result.containers], [false, [id]]);
  assert.equal(readFileSync(join(live, 'which'), 'utf8'), 'good');
  const now = await engine.engine.inspect(id);
  assert.deepEqual([now?.state, now?.restartPolicy.name], ['running', 'unless-stopped']);
  assert.notEqual(now?.startedAt, started);

  const deploy = await workload.post('deploy');
  assert.deepEqual([deploy.state, deploy.error.code], ['failed', 'ADOPTED_INCOMPLETE']);
  assert.match(deploy.error.message, /PASSWORD/);
  await engine.engine.stop(id, 3);
  await engine.engine.remove(id);
  const refused = await workload.restore(snapshot);
  assert.deepEqual([refused.state, refused.error.code], ['failed', 'ADOPTED_INCOMPLETE']);
  await workload.change({ env: { PASSWORD: 'secret' }, adopted: { containers: [name], incomplete: [] } });
  const again = await workload.restored(snapshot);
  assert.equal(again.result.recreated, true);
  const [made] = (await engine.mine()).filter((one) => one.labels['refloat.workload'] === workload.id);
  assert.deepEqual([made?.state, made?.imageId], ['running', now?.imageId]);
});

test('the containers of one Compose service are one workload; one that is gone is not made by a restore of the others', async () => {
  const live = join(stack.allowedRoot, 'compose');
  const mounts = [{ type: 'bind' as const, source: live, target: '/volumes/data', readOnly: false }];
  mkdirSync(live);
  const names = ['db', 'db', 'web'].map((service, index) => named(`shop-${service}-${index + 1}`));
  const ids: string[] = [];
  for (const [index, name] of names.entries()) {
    const service = index === 2 ? 'web' : 'db';
    const labels = { 'com.docker.compose.project': named('shop'), 'com.docker.compose.service': service };
    ids.push((await foreign(name, { labels, ...(service === 'db' ? { mounts } : {}) })).id);
  }
  const [first = '', second = '', web = ''] = ids;
  await freshAgent();
  const { workload, config } = adopted(await adopt(names[1] ?? ''));
  assert.deepEqual([config.name, config.project, config.replicas], [`${named('shop')}-db`, named('shop'), 2]);
  assert.deepEqual(config.adopted.containers, names.slice(0, 2));
  const twice = await adopt(names[0] ?? '', '--name', 'another');
  assert.deepEqual([twice.code, twice.json.error.code], [3, 'CONTAINER_TAKEN']);

  writeFileSync(join(live, 'which'), 'good');
  const snapshot = await workload.capture();
  writeFileSync(join(live, 'which'), 'bad');
  await engine.engine.stop(second, 3);
  const before = await Promise.all(ids.map((id) => engine.engine.inspect(id)));
  const restore = await workload.restored(snapshot);
  assert.deepEqual([...restore.result.containers].sort(), [first, second].sort());
  const after_ = await Promise.all(ids.map((id) => engine.engine.inspect(id)));
  assert.deepEqual(
    after_.map((one) => one?.state),
    ['running', 'exited', 'running'],
  );
  assert.notEqual(after_[0]?.startedAt, before[0]?.startedAt);
  assert.equal((await engine.engine.inspect(web))?.startedAt, before[2]?.startedAt, 'another service is left alone');

  await engine.engine.remove(second);
  const undo = await workload.undo(restore.id);
  assert.deepEqual(undo.result.containers, [first]);
  assert.equal(readFileSync(join(live, 'which'), 'utf8'), 'bad');
});

test('a mount that the host does not allow is refused at once, by the host’s own reason; the others can be chosen', async () => {
  const name = named('beyond');
  const inside = join(stack.allowedRoot, 'inside');
  const outside = join(stack.volumeBase, '..', 'beyond');
  for (const directory of [inside, outside]) mkdirSync(directory, { recursive: true });
  const file = join(stack.allowedRoot, 'settings.conf');
  writeFileSync(file, 'x');
  await foreign(name, {
    mounts: [
      { type: 'bind', source: inside, target: '/volumes/data', readOnly: false },
      { type: 'bind', source: outside, target: '/volumes/outside', readOnly: false },
      { type: 'bind', source: file, target: '/etc/settings.conf', readOnly: true },
    ],
  });
  await freshAgent({ REFLOAT_INVENTORY: 'env' });
  const refused = await adopt(name);
  assert.equal(refused.code, 3);
  assert.ok(['SOURCE_OUTSIDE_ROOTS', 'SOURCE_NOT_DIRECTORY'].includes(refused.json.error.code));
  assert.match(refused.json.error.hint, /\/volumes\/data/);
  assert.equal((await adopt(name, '--volume', '/volumes/outside')).json.error.code, 'SOURCE_OUTSIDE_ROOTS');
  assert.equal((await adopt(name, '--volume', '/etc/settings.conf')).json.error.code, 'SOURCE_NOT_DIRECTORY');
  assert.equal((await adopt(name, '--volume', '/nothing')).json.error.code, 'VALIDATION_FAILED');
  const { config } = adopted(await adopt(name, '--volume', '/volumes/data', '--project', 'mine'));
  assert.deepEqual([config.project, config.volumes.length], ['mine', 1]);
  assert.deepEqual(config.env, { PASSWORD: 'secret', MODE: 'x=y' }, 'this host tells its environment');
  assert.deepEqual(config.adopted.incomplete.slice(0, 2), ['mount /etc/settings.conf', 'mount /volumes/outside']);
});

test('a host that keeps its inventory to itself has nothing to adopt', async () => {
  const name = named('private');
  await foreign(name);
  await freshAgent({ REFLOAT_INVENTORY: 'own' });
  const { id } = await stack.createWorkload({ volumes: [{ name: 'd', scope: 'project', source: 'd', target: '/d' }] });
  // An intent that is over is followed by a report.
  await restorableOf(stack, { id, name: 'unused' }).post('deploy');
  const ended = await stack.refloat(['workload', 'adopt', name]);
  assert.deepEqual([ended.code, ended.json.error.code], [3, 'CONTAINER_NOT_FOUND']);
  assert.match(ended.json.error.hint, /REFLOAT_INVENTORY/);
});
