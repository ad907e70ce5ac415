import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import type { RestorePlan } from '../../db/results.ts';
import type { HeldIntent } from '../helpers/hand.ts';
import { fixture } from './fixture.ts';

const f = await fixture();
const PLAN: RestorePlan = {
  ok: true,
  refusals: [],
  warnings: [],
  targets: [
    {
      volume: 'pgdata',
      scope: 'project',
      live: '/srv/refloat/shop/pgdata',
      exists: true,
      within: null,
      bytes: 600e6,
      entries: 1300,
      difference: {
        complete: true,
        unchanged: 1200,
        added: { count: 7, names: ['base/1'] },
        changed: { count: 1234, names: ['base/2'] },
        removed: { count: 3, names: ['base/3'] },
      },
    },
  ],
  fileSystems: [
    {
      mountPoint: '/srv/refloat',
      type: 'ext4',
      bytesNeeded: 700e6,
      bytesFree: 80e9,
      inodesNeeded: 10,
      inodesFree: 1000,
    },
  ],
  containers: [{ id: 'c1', name: 'shop-db-1', state: 'running', restartPolicy: 'unless-stopped' }],
  image: {
    reference: 'postgres:17',
    id: `sha256:${'b'.repeat(64)}`,
    referenceId: `sha256:${'b'.repeat(64)}`,
    captured: null,
    movedSinceCapture: false,
  },
  downtime: { estimateMs: 412, measuredAt: '2026-01-02T03:04:05.678Z', stopTimeoutMs: 10_000 },
};

async function capture(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Capture now' }).click();
  const held = await f.hand.claim();
  assert.equal(held.row.kind, 'capture');
  await held.run(['preflight', 3], ['freeze', 5], ['archive', 120], ['resume', 4]);
  await held.register({ kind: 'capture' });
  await held.finish({ state: 'succeeded', result: { downtimeMs: 9, bytes: 312_475_648, entries: 1284 } });
  await page.locator('[data-snapshot]').first().waitFor();
}

/** Opens the dialog; the plan that it asks for is answered. */
async function openDialog(page: Page, plan: RestorePlan = PLAN): Promise<void> {
  await page
    .getByRole('button', { name: /^Restore the snapshot/ })
    .first()
    .click();
  const held = await f.hand.claim();
  assert.equal(held.row.kind, 'plan');
  await held.finish({ state: 'succeeded', result: { plan } });
}

async function confirm(page: Page): Promise<HeldIntent> {
  await page.getByRole('textbox', { name: /Type the name/ }).fill(f.workloadName);
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  return f.hand.claim();
}

async function intents(kind: string): Promise<number> {
  const rows = await f.plane.database.sql`select id from intents where kind = ${kind}`;
  return rows.length;
}

async function status(page: Page, step: string): Promise<string | null> {
  return page.locator(`[data-step="${step}"]`).getAttribute('data-status');
}

test('the dialog says what will happen, and a name that is not exact keeps the button disabled', async () => {
  const page = await f.signedIn();
  await capture(page);
  await openDialog(page);
  const dialog = page.getByRole('dialog', { name: 'Restore shop-db?' });
  await dialog.getByText('The host is ready.').waitFor();
  const text = (await dialog.textContent()) ?? '';
  assert.match(text, /data of volume “data” is replaced/);
  assert.match(text, /stopped for a moment/);
  assert.match(text, /kept as a snapshot, and this can be undone/);
  assert.match(text, /Stops and starts again: shop-db-1/);
  assert.match(text, /pgdata · 7 come back, 1,234 change, 3 go/);
  assert.match(text, /Down for about 412\sms, as the last time/);
  const button = dialog.getByRole('button', { name: 'Restore', exact: true });
  const input = dialog.getByRole('textbox', { name: /Type the name/ });
  assert.ok(await button.isDisabled());
  for (const wrong of ['shop-d', 'shop-db ', ' shop-db', 'Shop-db', 'shop-dbx', 'shop–db', '']) {
    await input.fill(wrong);
    assert.ok(await button.isDisabled(), `"${wrong}" must not do`);
    await input.press('Enter');
  }
  assert.equal(await intents('restore'), 0);
  await input.fill('shop-db');
  assert.ok(await button.isEnabled());
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  const focused = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
  assert.match(focused, /^Restore the snapshot/, 'the focus is back where it was');
  assert.equal(await intents('restore'), 0);
});

test('a plan that says no is shown with its reason before anything is asked for', async () => {
  const page = await f.signedIn();
  await openDialog(page, {
    ...PLAN,
    ok: false,
    refusals: [
      {
        code: 'DISK_FULL',
        message: 'staging needs 700 MB, 10 MB are free',
        hint: 'Free space on /srv/refloat.',
        disposition: 'refuse',
      },
    ],
  });
  await page.getByText('The host would refuse this:').waitFor();
  await page.getByText('staging needs 700 MB, 10 MB are free').waitFor();
  await page.getByText('Free space on /srv/refloat.').waitFor();
});

test('a restore shows its steps as they happen, survives a reload, and ends with the downtime and an undo', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  const restore = await confirm(page);
  assert.equal(restore.row.kind, 'restore');
  await restore.run(['preflight', 12], ['check_disk', 8]);
  await restore.begin('stage', { bytesDone: 100, bytesTotal: 400, entriesDone: 3 });
  await page.locator('[data-step=stage][data-status=started] progress').waitFor();
  assert.equal(await status(page, 'preflight'), 'done');
  assert.equal(await status(page, 'quiesce'), 'waiting');
  await page.getByRole('button', { name: 'Cancel it' }).waitFor();

  await page.reload();
  await page.locator('[data-step=stage][data-status=started] progress').waitFor();
  assert.equal(await status(page, 'check_disk'), 'done', 'what happened before the reload is still there');
  await restore.end('stage', 900);
  await restore.run(['quiesce', 60]);
  await restore.commit();
  await restore.begin('swap');
  await page.locator('[data-step=swap][data-status=started]').waitFor();
  await page.getByRole('button', { name: 'Cancel it' }).waitFor({ state: 'detached' });
  await restore.end('swap', 1);
  await restore.run(['redeploy', 240], ['health', 500], ['preserve', 700], ['cleanup', 2]);
  const before = await restore.register({ kind: 'pre-restore' });
  await restore.finish({
    state: 'succeeded',
    result: {
      downtimeMs: 412,
      preRestoreSnapshotId: before,
      imageId: PLAN.image?.id ?? '',
      undoUntil: new Date(Date.now() + 3_600_000).toISOString(),
    },
  });
  await page.locator('#downtime').waitFor();
  assert.match((await page.locator('#downtime').textContent()) ?? '', /^412\sms$/);
  await page.getByText('Before a restore').waitFor();

  await page.getByRole('button', { name: 'Undo…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Undo the restore of shop-db?' });
  await dialog.getByRole('textbox').fill('shop-db');
  await dialog.getByRole('button', { name: 'Undo', exact: true }).click();
  const undo = await f.hand.claim();
  assert.equal(undo.row.kind, 'undo');
  assert.equal(undo.row.undoOf, restore.row.id);
  await undo.commit();
  await undo.run(['quiesce', 60], ['swap', 1], ['redeploy', 200]);
  await undo.register({ kind: 'pre-restore' });
  await undo.finish({ state: 'succeeded', result: { downtimeMs: 333 } });
  await page.locator('.activity[data-state=succeeded]', { hasText: '333' }).waitFor();
});

test('two clicks make one intent', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  const before = await intents('restore');
  await page.getByRole('textbox', { name: /Type the name/ }).fill('shop-db');
  // Both clicks are in the page's queue before the first answer can be.
  await page.getByRole('button', { name: 'Restore', exact: true }).evaluate((button: HTMLButtonElement) => {
    button.click();
    button.click();
    button.form?.requestSubmit();
  });
  const restore = await f.hand.claim();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await restore.finish({ state: 'cancelled' });
  await page.locator(`[data-intent="${restore.row.id}"][data-state=cancelled]`).waitFor();
  assert.equal(await intents('restore'), before + 1);
});

test('while the request is under way the dialog is busy and cannot be left', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  await page.route('**/restore', async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole('textbox', { name: /Type the name/ }).fill('shop-db');
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  const busy = page.getByRole('button', { name: 'Starting…' });
  await busy.waitFor();
  assert.equal(await busy.getAttribute('aria-busy'), 'true');
  assert.ok(await busy.isDisabled());
  assert.ok(await page.getByRole('button', { name: 'Cancel', exact: true }).isDisabled());
  for (let times = 0; times < 3; times += 1) await page.keyboard.press('Escape');
  assert.ok(await page.getByRole('dialog').isVisible());
  letGo();
  const restore = await f.hand.claim();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await restore.finish({ state: 'cancelled' });
});

test('a restore that came first is refused with 409, what to do, and a way to it', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  // Another person was faster, after this dialog was opened.
  const other = await f.signedIn();
  await other.getByRole('button', { name: 'Capture now' }).click();
  const capturing = await f.hand.claim();
  await page.getByRole('textbox', { name: /Type the name/ }).fill('shop-db');
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  const problem = page.getByRole('dialog').getByRole('alert');
  await problem.getByText('Something else is under way on this workload').waitFor();
  await problem.getByText('Wait until it has ended, or cancel it, and try again.').waitFor();
  await problem.getByText('INTENT_UNDER_WAY').waitFor();
  await problem.getByRole('button', { name: 'Show what is under way' }).click();
  await page.locator(`[data-intent="${capturing.row.id}"]`).waitFor();
  await capturing.finish({ state: 'cancelled' });
});

test('a cancel before the commit point is asked for once, and the end says that all is as before', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  const restore = await confirm(page);
  await restore.begin('stage');
  await page.getByRole('button', { name: 'Cancel it' }).click();
  await page.getByRole('button', { name: 'Cancelling…' }).waitFor();
  const [row] = await f.plane.database
    .sql`select cancel_requested_at is not null as asked from intents where id = ${restore.row.id}`;
  assert.equal(row?.['asked'], true);
  await restore.emit('step', { step: 'stage', status: 'undone' });
  await restore.finish({
    state: 'cancelled',
    error: { code: 'CANCELLED', message: 'cancelled by admin', hint: '', disposition: 'refuse' },
  });
  await page.getByText('The data and the containers are as they were before.').waitFor();
  assert.equal(await status(page, 'stage'), 'undone');
});

test('a click that is half done when news arrives still counts, and the focus stays', async () => {
  const page = await f.signedIn();
  await openDialog(page);
  const restore = await confirm(page);
  await restore.begin('stage', { bytesDone: 1, bytesTotal: 400, entriesDone: 1 });
  const cancel = page.getByRole('button', { name: 'Cancel it' });
  await cancel.focus();
  await cancel.hover();
  await page.mouse.down();
  await restore.begin('stage', { bytesDone: 300, bytesTotal: 400, entriesDone: 3 });
  await page.locator('[data-step=stage] progress[value="300"]').waitFor();
  assert.ok(await cancel.evaluate((button) => button === document.activeElement));
  await page.mouse.up();
  await page.getByRole('button', { name: 'Cancelling…' }).waitFor();
  await restore.finish({ state: 'cancelled' });
  await page.locator(`[data-intent="${restore.row.id}"][data-state=cancelled]`).waitFor();
});

test('a restore that took itself back says why and what to do; markup in it stays text', async () => {
  const page = await f.signedIn();
  const complaints: string[] = [];
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('pageerror', (error) => void complaints.push(error.message));
  await openDialog(page);
  const restore = await confirm(page);
  await restore.run(['preflight', 1]);
  await restore.emit('warning', { message: '<b>bold</b> warning' });
  await restore.finish({
    state: 'rolled_back',
    error: {
      code: 'UNHEALTHY',
      message: '<img src=x onerror="document.title=1"> container shop-db-1 restarted 3 times',
      hint: 'Look at its log.',
      disposition: 'fail',
      step: 'health',
    },
  });
  await page.getByText('Took itself back', { exact: true }).waitFor();
  await page.getByText('<img src=x onerror="document.title=1"> container shop-db-1 restarted 3 times').waitFor();
  await page.getByText('<b>bold</b> warning').waitFor();
  await page.getByText('Look at its log.').waitFor();
  assert.match(await page.title(), /shop-db/);
  assert.deepEqual(complaints, [], 'no script error and no breach of the content security policy');
});
