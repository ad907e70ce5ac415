/** The host's commands from outside: exit codes, one JSON object last, and what they write. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newId } from '../../../db/ids.ts';
import { agentCommand, agentPlace } from '../../helpers/agent.ts';

const place = await agentPlace({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
const errorOf = (json: Readonly<Record<string, unknown>> | null) =>
  json?.['error'] as { code: string; hint: string } | undefined;

test('wrong usage: exit code 2 and one JSON object', async () => {
  for (const args of [
    ['enroll', '--json'],
    ['nonsense', '--json'],
    ['run', '--nonsense', '--json'],
  ]) {
    const ended = await agentCommand(args, place.env);
    assert.deepEqual([ended.code, ended.json?.['ok'], errorOf(ended.json)?.code], [2, false, 'USAGE'], args.join(' '));
  }
});

test('run: not enrolled, no engine and a bad setting are exit code 2, with what to do', async () => {
  for (const [env, code] of [
    [{}, 'ENGINE_UNAVAILABLE'],
    [{ REFLOAT_VOLUME_BASE: 'relative' }, 'CONFIG_INVALID'],
  ] as const) {
    const ended = await agentCommand(['run', '--json'], {
      ...place.env,
      REFLOAT_AGENT_DATABASE_URL: 'postgres://a@127.0.0.1:1/x',
      ...env,
    });
    assert.deepEqual([ended.code, errorOf(ended.json)?.code], [2, code]);
    assert.ok((errorOf(ended.json)?.hint ?? '').length > 10);
  }
});

test('status and help work on an empty host', async () => {
  const ended = await agentCommand(['status', '--json'], place.env);
  assert.equal(ended.code, 0);
  assert.deepEqual(
    [
      ended.json?.['ok'],
      ended.json?.['agent'],
      ended.json?.['journals'],
      ended.json?.['held'],
      ended.json?.['snapshots'],
      ended.json?.['lease'],
      ended.json?.['spool'],
    ],
    [true, null, [], [], [], [], []],
  );
  const help = await agentCommand(['--help'], place.env);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /enroll[\s\S]*run[\s\S]*recover[\s\S]*status[\s\S]*pack[\s\S]*unpack[\s\S]*verify/);
});

test('enroll: an API that is not there uses nothing up; one that answers gives a private file that keeps its other members', async () => {
  const hostId = newId();
  const seen: unknown[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen.push([request.method, request.url, JSON.parse(body)]);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(
          status === 200
            ? { hostId, hostName: 'h', databaseUrl: 'postgres://u:pass@127.0.0.1/db' }
            : status === 401
              ? { code: 'ENROLLMENT_INVALID', detail: 'used', hint: 'get another' }
              : { code: 'DATABASE_UNAVAILABLE', detail: 'away', hint: 'come again' },
        ),
      );
    });
  });
  after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const away = await agentCommand(['enroll', '--api', 'http://127.0.0.1:1', '--token', 't', '--json'], place.env);
  assert.deepEqual([away.code, errorOf(away.json)?.code], [1, 'API_UNREACHABLE']);
  const path = join(place.stateDir, 'agent.json');
  writeFileSync(path, JSON.stringify({ allowedRoots: ['/srv/x'] }));
  const done = await agentCommand(['enroll', '--api', api, '--token', 'once', '--json'], place.env);
  assert.deepEqual([done.code, done.json?.['hostId']], [0, hostId]);
  assert.deepEqual(seen, [['POST', '/api/enroll', { token: 'once' }]]);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), {
    allowedRoots: ['/srv/x'],
    hostId,
    databaseUrl: 'postgres://u:pass@127.0.0.1/db',
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.doesNotMatch(done.stdout + done.stderr, /pass/);
  status = 401;
  const used = await agentCommand(['enroll', '--api', api, '--token', 'once', '--json'], place.env);
  assert.deepEqual([used.code, errorOf(used.json)?.code], [2, 'ENROLLMENT_INVALID']);
  status = 503;
  const busy = await agentCommand(['enroll', '--api', api, '--token', 'once', '--json'], place.env);
  assert.deepEqual(
    [busy.code, errorOf(busy.json)?.code, errorOf(busy.json)?.hint],
    [1, 'API_UNREACHABLE', 'come again'],
    'it could not, and refused nothing',
  );
});
