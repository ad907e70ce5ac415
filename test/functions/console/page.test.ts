import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consoleApp } from '../../../functions/console/routes.tsx';

const app = consoleApp();

test('the page runs nothing but its own files: no inline script, style or handler, and a policy that says so', async () => {
  const response = await app.request('/');
  const html = await response.text();
  assert.equal(response.status, 200);
  assert.match(html, /^<!doctype html><html lang="en">/);
  assert.doesNotMatch(html, /<style|style=|\son\w+=|<script[^>]*>[^<]/i);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  for (const directive of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"])
    assert.ok(policy.includes(directive), directive);
});

test('every file that the page names is there, and is kept forever only under the address with its version', async () => {
  const html = await (await app.request('/')).text();
  const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '');
  assert.deepEqual(
    new Set(files.map((file) => file.split('?')[0])),
    new Set(['/assets/icon.svg', '/assets/console.css', '/assets/console.js']),
  );
  for (const file of files) {
    const response = await app.request(file);
    assert.equal(response.status, 200, file);
    assert.match(response.headers.get('cache-control') ?? '', /immutable/);
    const etag = response.headers.get('etag') ?? '';
    assert.equal((await app.request(file, { headers: { 'if-none-match': etag } })).status, 304);
    const unversioned = await app.request(file.split('?')[0] ?? '');
    assert.equal(unversioned.headers.get('cache-control'), 'no-cache');
  }
});

test('the switch keeps the choice and leads nowhere but to the console', async () => {
  const response = await app.request('/language/ru');
  assert.equal(response.status, 303);
  assert.equal(response.headers.get('location'), '/');
  const cookie = response.headers.get('set-cookie') ?? '';
  const page = await app.request('/', { headers: { cookie: cookie.split(';')[0] ?? '', 'accept-language': 'en' } });
  assert.equal(page.headers.get('content-language'), 'ru');
  assert.equal((await app.request('/language/xx')).status, 404);
  assert.equal((await app.request('/language/__proto__')).status, 404);
});
