/** A Worker that people reach over HTTPS tells browsers to stay there, whatever it answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startWorkerd } from '../helpers/workerd.ts';

test('every kind of answer of a Worker with an https:// address has HSTS', async (t) => {
  const plane = await startWorkerd(await testDatabase(), { REFLOAT_PUBLIC_URL: 'https://refloat.example' });
  t.after(() => plane.close());
  for (const [method, path, status] of [
    ['GET', '/', 200],
    ['GET', '/assets/console.js', 200],
    ['GET', '/healthz', 200],
    ['GET', '/api/workloads', 401],
    ['POST', '/api/session', 422],
    ['GET', '/api/nothing', 404],
  ] as const) {
    const answer = await call(plane, method, path);
    assert.equal(answer.status, status, path);
    assert.equal(answer.headers.get('strict-transport-security'), `max-age=${365 * 86_400}`, path);
  }
});
