import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { bareApp } from '../helpers/app-routes.ts';
import { assertGolden } from '../helpers/golden.ts';

async function openapi(): Promise<{ text: string; document: Record<string, unknown> }> {
  const { app, close } = await bareApp();
  const document = (await (await app.request('/openapi.json')).json()) as Record<string, unknown>;
  await close();
  return { text: `${JSON.stringify(document, null, 1)}\n`, document };
}

test('the OpenAPI document is the one that scripts were written against', async () => {
  assertGolden(path.join(import.meta.dirname, 'openapi.golden.json'), (await openapi()).text);
});

test('every operation has a name, a summary, answers, and problems for its refusals', async () => {
  const { document } = await openapi();
  const names = new Set<string>();
  for (const [route, methods] of Object.entries(
    document['paths'] as Record<string, Record<string, Record<string, unknown>>>,
  )) {
    for (const [method, operation] of Object.entries(methods)) {
      const where = `${method} ${route}`;
      assert.ok(typeof operation['operationId'] === 'string' && !names.has(operation['operationId']), where);
      names.add(operation['operationId']);
      assert.ok(typeof operation['summary'] === 'string', where);
      for (const [status, response] of Object.entries(operation['responses'] as Record<string, { content?: object }>)) {
        if (status === 'default' || Number(status) >= 400)
          assert.deepEqual(Object.keys(response.content ?? {}), ['application/problem+json'], where);
      }
    }
  }
});
