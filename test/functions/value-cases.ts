/** Values that JSON and HTTP can hold and the database cannot, as every runtime must refuse them; part of the contract suite. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { eq } from 'drizzle-orm';
import { audit } from '../../db/schema/index.ts';
import { addHost, addWorkload, type ControlPlane, call, mint, signedIn } from '../helpers/control-plane.ts';

const HALF_PAIR = '\ud800';

export function valueCases(planeOf: () => ControlPlane): void {
  test('a text that the database cannot hold is refused with its path, wherever it stands', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const { headers } = await signedIn(plane);
    const hostId = await addHost(plane);
    const { id } = await addWorkload(plane, hostId);
    const workload = (more: object) => ({ name: `w-${randomUUID()}`, project: 'p', hostId, image: 'i:1', ...more });
    const cases: readonly (readonly [path: string, body: object, where: string])[] = [
      ['/api/workloads', workload({ env: { A: HALF_PAIR } }), 'env.A'],
      ['/api/workloads', workload({ env: { [`A${HALF_PAIR}`]: 'x' } }), 'env.A\ufffd'],
      ['/api/workloads', workload({ command: ['a\0b'] }), 'command.0'],
      ['/api/workloads', workload({ user: 'a\0b' }), 'user'],
      ['/api/workloads', workload({ hooks: { beforeCapture: ['a\0b'] } }), 'hooks.beforeCapture.0'],
      [`/api/workloads/${id}/deploy`, { reference: 'a\0b' }, 'reference'],
      [`/api/workloads/${id}/imports`, { archives: [{ volume: 'v', file: HALF_PAIR }] }, 'archives.0.file'],
      ['/api/workloads/adopt', { container: 'a\0b' }, 'container'],
      ['/api/tokens', { subject: `x${HALF_PAIR}`, scopes: ['hosts:read'] }, 'subject'],
    ];
    for (const [path, body, where] of cases) {
      const answer = await call(plane, 'POST', path, { token, body });
      assert.deepEqual([answer.status, answer.body.code], [422, 'VALIDATION_FAILED'], path);
      assert.equal(answer.body.errors[0].path, where, path);
    }
    const person = await call(plane, 'POST', '/api/people', {
      headers,
      body: { name: 'x', role: 'viewer', projects: ['\0'] },
    });
    assert.deepEqual([person.status, person.body.code], [422, 'VALIDATION_FAILED']);
  });

  test('nothing that was sent is dropped or replaced in silence', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const hostId = await addHost(plane);
    const text = JSON.stringify({ name: `w-${randomUUID()}`, project: 'p', hostId, image: 'i:1', env: { PW: '@' } });
    const proto = await call(plane, 'POST', '/api/workloads', { token, raw: text.replace('"PW"', '"__proto__"') });
    assert.deepEqual([proto.status, proto.body.errors?.[0].path], [422, 'env.__proto__']);
    const deep = await call(plane, 'POST', '/api/workloads', { token, raw: '['.repeat(100_000) + ']'.repeat(100_000) });
    assert.deepEqual([deep.status, deep.body.code], [422, 'VALIDATION_FAILED']);
    const [before = '', behind = ''] = text.split('@');
    const body = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xe9]), Buffer.from(behind)]);
    const latin1 = await call(plane, 'POST', '/api/workloads', { token, raw: body });
    assert.deepEqual([latin1.status, latin1.body.code], [400, 'BAD_REQUEST']);
    const binary = await call(plane, 'POST', '/api/workloads', {
      token,
      raw: Buffer.from([0xff]),
      headers: { 'content-type': 'application/octet-stream' },
    });
    assert.equal(binary.status, 415, 'what it is called comes first');
    const query = await call(plane, 'GET', '/api/workloads?foo=1', { token });
    assert.match(query.body.detail, /^the query: /);
  });

  test('a moment is one of a year that everybody writes alike', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const { id } = await addWorkload(plane, await addHost(plane));
    const capture = (notAfter: string) =>
      call(plane, 'POST', `/api/workloads/${id}/snapshots`, { token, body: { notAfter } });
    for (const moment of ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59']) {
      const answer = await capture(moment);
      assert.deepEqual([answer.status, answer.body.errors?.[0].path], [422, 'notAfter'], moment);
    }
    const soon = await capture('soon');
    assert.match(soon.body.detail, /^notAfter: /, 'one problem, not two');
    assert.equal((await capture('9999-12-31T23:59:59Z')).status, 202);
  });

  test('the id of a host is one id in capitals, too', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const hostId = await addHost(plane);
    const body = { name: `w-${randomUUID()}`, project: 'p', hostId: hostId.toUpperCase(), image: 'i:1' };
    const created = await call(plane, 'POST', '/api/workloads', { token, body });
    assert.deepEqual([created.status, created.body.config.hostId], [201, hostId]);
    const put = await call(plane, 'PUT', `/api/workloads/${created.body.id}`, { token, body });
    assert.deepEqual([put.status, put.body.version], [200, created.body.version], 'an equal one changes nothing');
  });

  test('no form of an address keeps a refusal out of the audit', async () => {
    const plane = planeOf();
    const path = `/api/workloads/%00/snapshots/${randomUUID()}/restore`;
    assert.equal((await call(plane, 'POST', path)).status, 401);
    const target = path.replace('%00', '\\0');
    const rows = await plane.database.db.select().from(audit).where(eq(audit.target, target));
    assert.deepEqual(
      rows.map(({ outcome, code }) => [outcome, code]),
      [['refused', 'UNAUTHENTICATED']],
    );
  });

  test('a token whose issuer is no text of the database is a bad token', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const iss of ['a\0', HALF_PAIR]) {
      const token = `${part({ alg: 'EdDSA', typ: 'JWT', kid: 'k' })}.${part({ iss })}.AAAA`;
      const answer = await call(planeOf(), 'GET', '/api/hosts', { token });
      assert.deepEqual([answer.status, answer.body.code], [401, 'UNAUTHENTICATED']);
    }
  });
}
