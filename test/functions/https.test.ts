/** Behind HTTPS every answer of every route tells browsers to stay there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bareApp, routeTable } from '../helpers/app-routes.ts';

test('every route answers with HSTS over HTTPS, whatever it answers', async (t) => {
  const { app, close } = await bareApp();
  t.after(close);
  const routes = await routeTable();
  assert.ok(routes.length > 50, `${routes.length} routes`);
  for (const route of [...routes, 'GET /nothing', 'OPTIONS /api/workloads']) {
    const [method = '', path = ''] = route.split(' ');
    const url = `https://refloat.example${path.replaceAll(/:\w+/g, 'x')}`;
    const answer = await app.request(url, { method, ...(method === 'POST' || method === 'PUT' ? { body: '{}' } : {}) });
    await answer.body?.cancel();
    assert.equal(
      answer.headers.get('strict-transport-security'),
      `max-age=${365 * 86_400}`,
      `${route} ${answer.status}`,
    );
    assert.notEqual(answer.headers.get('content-security-policy'), null, route);
    assert.equal(answer.headers.get('access-control-allow-origin'), null, route);
    const plain = await app.request(url.replace('https', 'http'), { method });
    await plain.body?.cancel();
    assert.equal(plain.headers.get('strict-transport-security'), null, `${route} over HTTP`);
  }
});
