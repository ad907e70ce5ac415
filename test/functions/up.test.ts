import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../db/client.ts';
import { call } from '../helpers/control-plane.ts';
import { runRefloat, spawnRefloat, startRefloat } from '../helpers/refloat.ts';

const base = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-up-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

let number = 0;
/** Below a directory that only root can enter, as `mktemp -d` makes them. */
const freshState = (): string => path.join(base, `run ${number++}`, 'state');
const up = (stateDir: string, env: Record<string, string> = {}) =>
  startRefloat(['up', '--no-agent', '--port', '0', '--state-dir', stateDir, '--json'], env);

/** Processes whose working directory lies in `directory`: its PostgreSQL. */
function processesIn(directory: string): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
      } catch {
        return false;
      }
    });
}

test('up prints one line of JSON, everything in it works, and a restart keeps data, keys and host', async () => {
  const stateDir = freshState();
  const first = await up(stateDir);
  assert.deepEqual(Object.keys(first.ready).sort(), [
    'adminToken',
    'databaseUrl',
    'enrollmentToken',
    'hostId',
    'signInLink',
    'url',
  ]);
  const { url, adminToken, hostId } = first.ready;
  const hosts = await call({ origin: url }, 'GET', '/api/hosts', { token: adminToken });
  assert.deepEqual(
    hosts.body.hosts.map((host: { id: string }) => host.id),
    [hostId],
  );
  const secret = new URL(first.ready.signInLink).hash.slice(1);
  const session = await call({ origin: url }, 'POST', '/api/session', { body: { token: secret } });
  assert.equal(session.status, 200);
  assert.equal(new URL(first.ready.signInLink).hostname, 'localhost', 'passkeys need a name');
  const invited = await runRefloat(['admin', 'invite', '--json', '--state-dir', stateDir]);
  const again = { token: new URL(invited.json.signInLink).hash.slice(1) };
  assert.equal(new URL(invited.json.signInLink).port, new URL(url).port, 'it finds the one that runs here');
  assert.equal((await call({ origin: url }, 'POST', '/api/session', { body: again })).body.subject, 'admin');
  const enrolled = await call({ origin: url }, 'POST', '/api/enroll', { body: { token: first.ready.enrollmentToken } });
  assert.equal(enrolled.body.hostId, hostId);
  const agent = connect(enrolled.body.databaseUrl, { max: 1 });
  assert.equal((await agent.sql`select id from hosts`)[0]?.['id'], hostId);
  await agent.close();
  const admin = connect(first.ready.databaseUrl, { max: 1 });
  assert.equal((await admin.sql`select count(*)::int as n from hosts`)[0]?.['n'], 1);
  const made = await admin.sql`select actor from audit where action = 'createHost' and target = ${`host:${hostId}`}`;
  assert.deepEqual([...made], [{ actor: 'refloat up' }]);
  await admin.close();
  const config = { name: 'kept', project: 'p', hostId, image: 'i' };
  assert.equal(
    (await call({ origin: url }, 'POST', '/api/workloads', { token: adminToken, body: config })).status,
    201,
  );

  const rival = await runRefloat(['up', '--no-agent', '--port', '0', '--state-dir', stateDir, '--json']);
  assert.deepEqual([rival.code, rival.json.ok, rival.json.error.code], [2, false, 'CONFIG_INVALID']);
  assert.match(rival.json.error.message, new RegExp(`process ${first.pid}`));

  assert.deepEqual(await first.stop(), { code: 0, signal: null });
  assert.equal(first.stdout().trim().split('\n').length, 1, 'nothing else on standard output');
  assert.deepEqual(processesIn(stateDir), [], 'no PostgreSQL is left');
  for (const file of ['signing-keys.json', 'host.json', 'postgres/server.json']) {
    assert.equal(fs.statSync(path.join(stateDir, file)).mode & 0o777, 0o600, file);
  }

  const second = await up(stateDir);
  assert.equal(second.ready.hostId, hostId);
  const kept = await call({ origin: second.ready.url }, 'GET', '/api/workloads', { token: adminToken });
  assert.deepEqual(
    kept.body.workloads.map((workload: { name: string }) => workload.name),
    ['kept'],
    'the old token and the old data',
  );
  assert.equal(
    (await call({ origin: second.ready.url }, 'POST', '/api/session', { body: { token: secret } })).status,
    401,
    'the old link stays used',
  );

  // Killed outright: the next start works all the same.
  second.kill('SIGKILL');
  await second.exited;
  const third = await up(stateDir);
  const stillThere = await call({ origin: third.ready.url }, 'GET', '/api/workloads', { token: adminToken });
  assert.equal(stillThere.body.workloads.length, 1);
  assert.deepEqual(await third.stop(), { code: 0, signal: null });
  assert.deepEqual(processesIn(stateDir), []);
});

test('an interrupt while it starts stops what was started', async () => {
  const stateDir = freshState();
  const starting = spawnRefloat(['up', '--no-agent', '--port', '0', '--state-dir', stateDir, '--json']);
  while (processesIn(stateDir).length === 0) await delay(5);
  starting.child.kill('SIGINT');
  assert.deepEqual(await starting.exited, { code: 0, signal: null });
  assert.deepEqual(processesIn(stateDir), []);
});

test('on a database of its own up brings no PostgreSQL, and two of them share it', async () => {
  const donor = await up(freshState());
  const env = { REFLOAT_DATABASE_URL: donor.ready.databaseUrl, REFLOAT_PUBLIC_URL: 'https://refloat.example.com' };
  const stateDir = freshState();
  const guest = await up(stateDir, env);
  assert.equal(guest.ready.databaseUrl, donor.ready.databaseUrl);
  assert.ok(guest.ready.signInLink.startsWith('https://refloat.example.com/sign-in#'));
  assert.notEqual(guest.ready.hostId, donor.ready.hostId, 'another state directory is another host');
  assert.ok(!fs.existsSync(path.join(stateDir, 'postgres')));
  const answer = await call({ origin: donor.ready.url }, 'GET', '/api/workloads', { token: guest.ready.adminToken });
  assert.equal(answer.status, 401, 'a token signed by other keys, for another issuer');
  await guest.stop();
  await donor.stop();
});

test('wrong usage and missing prerequisites: exit code 2, a code and a hint, JSON with --json', async () => {
  const blocker = net.createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as net.AddressInfo;
  const table: [string, string[], Record<string, string>, number, string][] = [
    ['no such command', ['upp', '--json'], {}, 2, 'USAGE'],
    ['no such option', ['up', '--json', '--nonsense'], {}, 2, 'USAGE'],
    [
      'a port that is none',
      ['up', '--json', '--no-agent', '--port', '99999', '--state-dir', freshState()],
      {},
      2,
      'USAGE',
    ],
    [
      'a state directory that is a file',
      ['up', '--json', '--state-dir', import.meta.filename],
      {},
      2,
      'CONFIG_INVALID',
    ],
    [
      'a port in use',
      ['up', '--json', '--no-agent', '--port', String(port), '--state-dir', freshState()],
      {},
      2,
      'CONFIG_INVALID',
    ],
    [
      'keys that are none',
      ['up', '--json', '--no-agent', '--port', '0', '--state-dir', freshState()],
      { REFLOAT_SIGNING_KEYS: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}' },
      2,
      'CONFIG_INVALID',
    ],
    ['serve without a database', ['serve', '--json'], {}, 2, 'CONFIG_INVALID'],
    [
      'serve without keys',
      ['serve', '--json'],
      { REFLOAT_DATABASE_URL: 'postgres://u:secret-word@127.0.0.1:1/x' },
      2,
      'CONFIG_INVALID',
    ],
    ['migrate without a database', ['migrate', '--json'], {}, 2, 'CONFIG_INVALID'],
    [
      'migrate with an URL that is none',
      ['migrate', '--json'],
      { REFLOAT_DATABASE_URL: 'secret-word' },
      2,
      'CONFIG_INVALID',
    ],
    [
      'migrate with nobody there',
      ['migrate', '--json'],
      { REFLOAT_DATABASE_URL: 'postgres://u:secret-word@127.0.0.1:1/x' },
      1,
      'DATABASE_UNAVAILABLE',
    ],
  ];
  const ends = await Promise.all(table.map(([, args, env]) => runRefloat(args, env)));
  for (const [index, [what, , , code, errorCode]] of table.entries()) {
    const end = ends[index];
    assert.ok(end !== undefined);
    assert.deepEqual(
      [end.code, end.json?.ok, end.json?.error?.code],
      [code, false, errorCode],
      `${what}: ${end.stdout} ${end.stderr}`,
    );
    assert.ok(end.json.error.hint.length > 0, what);
    assert.doesNotMatch(end.stdout + end.stderr, /secret-word|c2VjcmV0/, what);
  }
  blocker.close();
  const plain = await runRefloat(['serve']);
  assert.match(plain.stderr, /REFLOAT_DATABASE_URL is not set \(CONFIG_INVALID\)/);
  assert.equal((await runRefloat(['--version'])).code, 0);
});

test('keys generate prints a key set that is accepted, and keys rotate keeps its tokens valid behind a new key', async () => {
  const { readKeySet } = await import('../../functions/auth/key-set.ts');
  const first = await runRefloat(['keys', 'generate']);
  assert.equal(first.code, 0);
  const rotated = await runRefloat(['keys', 'rotate', '--overlap', '0'], { REFLOAT_SIGNING_KEYS: first.stdout });
  const [old, both] = [await readKeySet(first.stdout), await readKeySet(rotated.stdout)];
  const now = new Date();
  assert.equal(both.publicJwks(now).keys.length, 2);
  assert.notEqual(both.signing(now).kid, old.signing(now).kid);
  assert.ok(both.verifying(old.signing(now).kid, now));
  assert.ok(both.publicJwks(now).keys.every((key) => !('d' in key)));
  assert.equal((await runRefloat(['keys', 'rotate'])).code, 2, 'there is nothing to rotate');
});
