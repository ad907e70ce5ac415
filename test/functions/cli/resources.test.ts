import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addHost, addSnapshot, mint } from '../../helpers/control-plane.ts';
import { handStage } from '../../helpers/hand.ts';
import { throughShell } from '../../helpers/program.ts';
import { refloat } from './run-refloat.ts';

const { plane, hostId, workloadId, workloadName } = await handStage();
const { jwt } = await mint(plane);
const env = { REFLOAT_PUBLIC_URL: plane.origin, REFLOAT_TOKEN: jwt };
const directory = mkdtempSync(join(tmpdir(), 'refloat-cli-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

test('apply creates a workload from YAML on the only host, then updates it from JSON', async () => {
  const yaml = file(
    'web.yaml',
    'name: web\nproject: shop\nimage: nginx:1\nvolumes:\n  - { name: files, scope: project, source: files, target: /srv }\n',
  );
  const created = await refloat(['workload', 'apply', yaml, '--json'], env);
  assert.equal(created.code, 0, created.stdout);
  assert.equal(created.json.created, true);
  assert.equal(created.json.workload.hostId, hostId);
  const json = file('web.json', JSON.stringify({ name: 'web', project: 'shop', image: 'nginx:2' }));
  const updated = await refloat(['workload', 'apply', json, '--json'], env);
  assert.equal(updated.json.created, false);
  assert.equal(updated.json.workload.version, 2);
  assert.equal(updated.json.workload.config.image, 'nginx:2');
});

test('what is wrong in a file is named, every member of it, and the code is 2', async () => {
  const bad = file(
    'bad.yaml',
    'name: "../x"\nproject: shop\nimage: a\nvolumes:\n  - { name: d, scope: project, source: ../../etc, target: /d }\n',
  );
  const { code, stderr } = await refloat(['workload', 'apply', bad], env);
  assert.equal(code, 2);
  assert.match(stderr, /- name: /);
  assert.match(stderr, /- volumes\.0\.source: /);
  const broken = await refloat(['workload', 'apply', file('broken.yaml', 'a: [')], env);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /neither JSON nor YAML/);
  const bomb = file('bomb.yaml', `a: &a [x,x]\n${['b', 'c', 'd'].map((key) => `${key}: [*a,*a]`).join('\n')}\n`);
  assert.equal((await refloat(['workload', 'apply', bomb], env)).code, 2);
});

test('with several hosts the file or --host has to say which', async () => {
  await addHost(plane);
  const path = file('db.yaml', 'name: db2\nproject: shop\nimage: pg:1\n');
  const unsaid = await refloat(['workload', 'apply', path, '--json'], env);
  assert.equal(unsaid.code, 2);
  assert.match(unsaid.json.error.hint, /--host/);
  const said = await refloat(['workload', 'apply', path, '--host', 'amber', '--json'], env);
  assert.equal(said.json.workload.hostId, hostId);
});

test('lists are aligned for people and complete as JSON', async () => {
  const snapshotId = await addSnapshot(plane, { id: workloadId, hostId });
  const [workloads, snapshots, hosts, intents] = await Promise.all([
    refloat(['workloads', 'ls'], env),
    refloat(['snapshots', 'ls', workloadName, '--json'], env),
    refloat(['hosts', 'ls'], env),
    refloat(['intents', 'ls', '--json'], env),
  ]);
  assert.match(workloads.stdout, /^NAME +ID +PROJECT +HOST/);
  assert.match(workloads.stdout, new RegExp(`^shop-db +${workloadId} +shop/prod +amber +postgres:17 +data`, 'm'));
  assert.equal(snapshots.json.snapshots[0].id, snapshotId);
  assert.match(hosts.stdout, /amber/);
  assert.deepEqual(intents.json, { ok: true, intents: [] });
});

test('a token is shown once, does only what it may, and ends when it is revoked', async () => {
  const made = await refloat(
    [
      'token',
      'create',
      '--scope',
      'workloads:read,snapshots:read',
      '--workload',
      workloadName,
      '--ttl',
      '15m',
      '--json',
    ],
    env,
  );
  assert.equal(made.code, 0, made.stdout);
  const { token, jti, workloads } = made.json.token;
  assert.deepEqual(workloads, [workloadId]);
  const limited = { ...env, REFLOAT_TOKEN: token };
  const seen = await refloat(['workloads', 'ls', '--json'], limited);
  assert.deepEqual(
    seen.json.workloads.map((workload: { name: string }) => workload.name),
    [workloadName],
  );
  const denied = await refloat(['capture', workloadName, '--json'], limited);
  assert.equal(denied.code, 3);
  assert.equal(denied.json.error.code, 'FORBIDDEN');
  assert.equal((await refloat(['token', 'revoke', jti], env)).code, 0);
  assert.equal((await refloat(['workloads', 'ls', '--json'], limited)).json.error.code, 'UNAUTHENTICATED');
  const listed = await refloat(['tokens', 'ls'], env);
  assert.match(listed.stdout, new RegExp(jti));
  assert.doesNotMatch(listed.stdout, new RegExp(token));
});

test('no API, no credential and no such thing each have their code and their exit code', async () => {
  const away = await refloat(['hosts', 'ls', '--json'], { ...env, REFLOAT_PUBLIC_URL: 'http://127.0.0.1:9' });
  assert.equal(away.code, 1);
  assert.equal(away.json.error.code, 'API_UNREACHABLE');
  const anonymous = await refloat(['hosts', 'ls', '--json'], { REFLOAT_PUBLIC_URL: plane.origin });
  assert.equal(anonymous.code, 2);
  const unknown = await refloat(['capture', 'nothing', '--json'], env);
  assert.equal(unknown.code, 3);
  assert.equal(unknown.json.error.code, 'WORKLOAD_NOT_FOUND');
  assert.equal((await refloat(['undo', 'not-an-id'], env)).code, 2);
  assert.equal((await refloat(['token', 'create', '--scope', 'hosts:read', '--ttl', '3w'], env)).code, 2);
  assert.equal((await refloat(['capture', workloadName, '--nonsense'], env)).code, 2);
});

test('an answer of another shape is not taken for one of the API', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"hosts":5}');
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const { code, json } = await refloat(['hosts', 'ls', '--json', '--api', `http://127.0.0.1:${port}`], env);
  assert.deepEqual([code, json.error.code], [1, 'API_UNREACHABLE']);
});

test('an export that cannot be written says so once; one whose reader has enough ends well', async () => {
  const told = (end: string) => throughShell('refloat', 'audit export', end, env);
  for (let entry = 0; entry < 5; entry++) await fetch(`${plane.origin}/api/nothing`, { method: 'POST' });
  assert.match(await told('> /dev/full'), /^FILE_SYSTEM_FAILED: [^\n]*\nrc=1\n$/);
  assert.equal(await told('| head -c 5'), 'rc=0\n');
});
