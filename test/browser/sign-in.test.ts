import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture } from './fixture.ts';

const f = await fixture();

test('without a session the console says how to sign in, and shows nothing else', async () => {
  const page = await (await f.context()).newPage();
  await page.goto(f.url);
  await page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
  assert.equal(await page.getByText(f.workloadName).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
});

test('a one-time link signs in once', async () => {
  const link = await f.signInLink();
  const first = await (await f.context()).newPage();
  await first.goto(link);
  await first.getByRole('heading', { level: 1, name: f.workloadName }).waitFor();
  assert.equal(new URL(first.url()).hash, '', 'the secret is not kept in the address');
  const second = await (await f.context()).newPage();
  await second.goto(link);
  await second.getByText('unknown, used or expired').waitFor();
});

test('signing out ends the session on the server', async () => {
  const page = await f.signedIn();
  const cookies = await page.context().cookies();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
  await page.context().addCookies(cookies);
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
});

test('a session that ends while the page is open leads back to signing in', async () => {
  const page = await f.signedIn();
  await f.plane.database.sql`update sessions set revoked_at = now()`;
  await page.getByText('Your session has ended.').waitFor({ timeout: 20_000 });
});
