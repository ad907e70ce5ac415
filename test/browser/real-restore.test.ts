/** The console with nothing by hand: a real agent, a real engine, real containers. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../db/client.ts';
import { createSignInLink, invite } from '../../functions/auth/invite.ts';
import { signInUrl } from '../../functions/auth/one-time.ts';
import { testBrowser } from '../helpers/chromium.ts';
import { testEngine } from '../helpers/engine.ts';
import { startStack } from '../helpers/stack.ts';

const browser = await testBrowser();
const engine = await testEngine();
const stack = await startStack(engine);
const agent = await stack.startAgent();

async function signInLink(): Promise<string> {
  const connection = connect(stack.databaseUrl, { max: 1 });
  try {
    const admin = await invite(connection.db, { name: 'admin', role: 'admin', projects: null, createdBy: 'test' });
    const link = await createSignInLink(connection.db, admin, new Date());
    return signInUrl(stack.url, link);
  } finally {
    await connection.close();
  }
}

test('a person captures, loses a file, restores it, undoes that and redoes it, by the console alone', async () => {
  const workload = await stack.createWorkload({
    name: 'notes',
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data' }],
  });
  const live = join(stack.volumeBase, 'p/data');
  mkdirSync(live, { recursive: true });
  const file = join(live, 'note.txt');
  writeFileSync(file, 'written before');
  const context = await browser.newContext({ locale: 'en-GB' });
  const page = await context.newPage();
  await page.goto(await signInLink());
  await page.getByRole('heading', { level: 1, name: workload.name }).waitFor();
  const over = (kind: string) =>
    page.locator('.activity[data-state=succeeded]', { has: page.getByRole('heading', { name: kind }) }).waitFor();

  await page.getByRole('button', { name: 'Deploy' }).click();
  await over('Deploy');
  await page.getByRole('button', { name: 'Capture now' }).click();
  await over('Capture');
  writeFileSync(file, 'an accident');

  await page.getByRole('button', { name: /^Restore the snapshot/ }).click();
  await page.getByText('The host is ready.').waitFor();
  await page.getByRole('textbox', { name: /Type the name/ }).fill(workload.name);
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  await over('Restore');
  assert.equal(readFileSync(file, 'utf8'), 'written before');
  assert.match((await page.locator('#downtime').textContent()) ?? '', /^[\d.]+\s(ms|s)$/);
  const steps = await page
    .locator('.step')
    .evaluateAll((items) => items.map((item) => `${item.dataset['step']} ${item.dataset['status']}`));
  const wanted = ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'];
  assert.deepEqual(
    steps,
    wanted.map((step) => `${step} done`),
  );

  for (const content of ['an accident', 'written before']) {
    await page.getByRole('button', { name: 'Undo…' }).click();
    await page.getByRole('textbox', { name: /Type the name/ }).fill(workload.name);
    const before = await page.locator('.activity').getAttribute('data-intent');
    await page.getByRole('button', { name: 'Undo', exact: true }).click();
    await page.locator(`.activity[data-state=succeeded]:not([data-intent="${before}"])`).waitFor();
    assert.equal(readFileSync(file, 'utf8'), content);
  }
  await context.close();
  await agent.stop();
  await engine.removeAll();
});
