/** What every answer says to browsers, as every runtime must; part of the contract suite. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ControlPlane, call, mint, signedIn } from '../helpers/control-plane.ts';

const STRANGER = { origin: 'https://evil.example' };

export function headerCases(planeOf: () => ControlPlane): void {
  test('no page of another origin reads an answer, or is told that it may send something', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    const { headers } = await signedIn(plane);
    for (const path of ['/api/workloads', '/api/session', '/openapi.json', '/', '/healthz', '/api/nothing']) {
      for (const credential of [{}, { authorization: `Bearer ${token}` }, { cookie: headers.cookie }]) {
        const answer = await call(plane, 'GET', path, { headers: { ...STRANGER, ...credential } });
        assertClosed(answer.headers, path);
        assert.equal(answer.headers.get('cross-origin-resource-policy'), 'same-origin', path);
      }
      for (const method of ['POST', 'PUT', 'DELETE']) {
        const answer = await call(plane, 'OPTIONS', path, {
          headers: {
            ...STRANGER,
            'access-control-request-method': method,
            'access-control-request-headers': 'authorization, x-confirm-restore',
          },
        });
        assert.equal(answer.status, 404, `preflight of ${method} ${path}`);
        assertClosed(answer.headers, path);
      }
    }
  });

  test('every kind of answer has its security headers, refusals and pages included', async () => {
    const plane = planeOf();
    const { jwt: token } = await mint(plane);
    for (const [method, path, status] of [
      ['GET', '/api/workloads', 200],
      ['GET', '/api/nothing', 404],
      ['POST', '/api/workloads', 422],
      ['GET', '/openapi.json', 200],
      ['GET', '/healthz', 200],
      ['GET', '/docs', 200],
      ['GET', '/', 200],
      ['GET', '/account', 200],
      ['GET', '/sign-in', 200],
      ['GET', '/assets/console.js', 200],
    ] as const) {
      const { headers, status: got } = await call(plane, method, path, { token });
      assert.equal(got, status, path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
      assert.equal(headers.get('x-frame-options'), 'DENY', path);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
      assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/, path);
      const policy = headers.get('content-security-policy') ?? '';
      assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/, path);
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*|https?:/, path);
      if (path.startsWith('/api/')) assert.equal(headers.get('cache-control'), 'no-store', path);
      assert.equal(headers.get('strict-transport-security'), null, 'not over plain HTTP, on this machine');
    }
  });
}

function assertClosed(headers: Headers, where: string): void {
  const open = [...headers.keys()].filter((name) => name.startsWith('access-control-'));
  assert.deepEqual(open, [], where);
}
