import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startNodeControlPlane } from '../../helpers/control-plane.ts';
import { testDatabase } from '../../helpers/postgres.ts';
import { runRefloat } from '../../helpers/refloat.ts';
import { Visitor } from '../../helpers/visitor.ts';

const plane = await startNodeControlPlane(await testDatabase());
after(() => plane.close());
const env = { REFLOAT_DATABASE_URL: plane.database.url, REFLOAT_PUBLIC_URL: 'https://refloat.example.com' };
const invite = (...args: string[]) => runRefloat(['admin', 'invite', '--json', ...args], env);
const secretOf = (link: string) => new URL(link).hash.slice(1);

test('an invitation makes a person, who signs in once with its link', async () => {
  const { code, json } = await invite('--name', 'Anna', '--role', 'operator', '--project', 'shop', 'web');
  assert.equal(code, 0);
  assert.ok(json.signInLink.startsWith('https://refloat.example.com/sign-in#'));
  const visitor = new Visitor(plane);
  const token = secretOf(json.signInLink);
  assert.equal((await visitor.call('POST', '/api/session', { token })).body.role, 'operator');
  assert.deepEqual((await visitor.call('GET', '/api/session')).body.projects, ['shop', 'web']);
  assert.equal((await visitor.call('POST', '/api/session', { token })).status, 401);
});

test('without options it is a link for the first admin, and again for the same one', async () => {
  const [first, second] = [await invite(), await invite()];
  for (const { json } of [first, second]) {
    const visitor = new Visitor(plane);
    await visitor.call('POST', '/api/session', { token: secretOf(json.signInLink) });
    const { body } = await visitor.call('GET', '/api/session');
    assert.deepEqual([body.subject, body.person.role], ['admin', 'admin']);
  }
});

test('what would not be as asked is refused', async () => {
  assert.equal((await invite('--name', 'Boris', '--role', 'viewer')).code, 0);
  for (const args of [
    ['--name', 'Boris', '--role', 'admin'],
    ['--name', 'boris', '--project', 'shop'],
    ['--role', 'root'],
  ]) {
    const { code, json } = await invite(...args);
    assert.deepEqual([code, json.error.code], [2, 'USAGE'], args.join(' '));
  }
  const nowhere = await runRefloat(['admin', 'invite', '--json', '--state-dir', '/nonexistent'], {
    REFLOAT_DATABASE_URL: plane.database.url,
  });
  assert.deepEqual([nowhere.code, nowhere.json.error.code], [2, 'CONFIG_INVALID']);
});
