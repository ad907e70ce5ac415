import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { testBrowser } from '../helpers/chromium.ts';
import {
  addSnapshot,
  addWorkload,
  type PersonOptions,
  signInSecret,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';
import { handStage } from '../helpers/hand.ts';
import { startOidcIssuer } from '../helpers/oidc-issuer.ts';
import { testDatabase } from '../helpers/postgres.ts';

const stage = await handStage();
const browser = await testBrowser();
const byName = (origin: string) => origin.replace('127.0.0.1', 'localhost');
const url = byName(stage.plane.origin);
await addSnapshot(stage.plane, { id: stage.workloadId, hostId: stage.hostId });

/** A browser with an authenticator whose owner always puts their finger on it. */
async function newPage(locale = 'en-GB'): Promise<{ page: Page; context: BrowserContext; refuse(): Promise<void> }> {
  const context = await browser.newContext({ locale, viewport: { width: 1200, height: 900 }, reducedMotion: 'reduce' });
  after(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on(
    'console',
    (message) => void (/Content.Security|TrustedHTML/i.test(message.text()) && complaints.push(message.text())),
  );
  after(() => assert.deepEqual(complaints, [], 'the content security policy holds'));
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  // From now on the finger is somebody else's.
  const refuse = async () =>
    void (await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false }));
  return { page, context, refuse };
}

async function signInByLink(page: Page, options: PersonOptions): Promise<void> {
  await page.goto(`${url}/sign-in#${await signInSecret(stage.plane, options)}`);
  await page.getByRole('heading', { level: 1, name: stage.workloadName }).waitFor();
}

async function age(name: string): Promise<void> {
  await stage.plane.database.sql`update sessions set proof_at = now() - interval '301 seconds'
    where person_id = (select id from people where name = ${name})`;
}

async function addPasskey(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Add a passkey…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

async function restore(page: Page): Promise<void> {
  await page
    .getByRole('button', { name: /^Restore the snapshot/ })
    .first()
    .click();
  const plan = await stage.hand.claim();
  await plan.finish({ state: 'succeeded', result: {} });
  await page.getByRole('textbox', { name: /Type the name/ }).fill(stage.workloadName);
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
}

/** `REFLOAT_TEST_SHOTS=DIR` keeps pictures of the pages for the eye. */
async function shot(page: Page, name: string): Promise<void> {
  const directory = process.env['REFLOAT_TEST_SHOTS'];
  if (directory !== undefined) await page.screenshot({ path: `${directory}/${name}.png`, fullPage: true });
}

test('after a link the console offers a passkey, which signs in and confirms a restore later', async () => {
  const { page } = await newPage();
  await signInByLink(page, { name: 'anna' });
  await page.getByText('Add a passkey now.').waitFor();
  await shot(page, 'nudge-en');
  await addPasskey(page);
  await page.getByText('Add a passkey now.').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
  const button = page.getByRole('button', { name: 'Sign in with a passkey' });
  await button.waitFor();
  await shot(page, 'sign-in-en');
  await button.click();
  await page.getByRole('heading', { level: 1, name: stage.workloadName }).waitFor();
  await page.getByText('Signed in as anna').waitFor();
  await age('anna');
  const asked: string[] = [];
  page.on('request', (request) => void (request.method() === 'POST' && asked.push(new URL(request.url()).pathname)));
  await restore(page);
  const held = await stage.hand.claim();
  assert.equal(held.row.kind, 'restore');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const paths = asked.filter((path) => !path.endsWith('/plan'));
  assert.equal(paths.length, 4);
  assert.match(paths[0] ?? '', /\/restore$/);
  assert.deepEqual(paths.slice(1, 3), ['/api/session/proof/challenge', '/api/session/proof']);
  assert.equal(paths[3], paths[0], 'asked again after the proof');
  await held.finish({ state: 'cancelled' });
});

test('a passkey that is not shown keeps the restore from starting, and it can be tried again', async () => {
  const { page, refuse } = await newPage();
  await signInByLink(page, { name: 'boris' });
  await addPasskey(page);
  await age('boris');
  await refuse();
  await restore(page);
  await page.getByRole('dialog').getByText('The passkey was not used').waitFor();
  const [row] = await stage.plane.database
    .sql`select count(*)::int as n from intents where kind = 'restore' and state = 'pending'`;
  assert.equal(row?.['n'], 0);
  assert.ok(await page.getByRole('button', { name: 'Restore', exact: true }).isEnabled());
});

test('who came by link and has no passkey is told what to do', async () => {
  const { page } = await newPage();
  await signInByLink(page, { name: 'clara' });
  await age('clara');
  await restore(page);
  const problem = page.getByRole('dialog').getByRole('alert');
  await problem.getByText('Confirm that it is you').waitFor();
  await problem.getByText(/Open a new sign-in link/).waitFor();
  await shot(page, 'no-passkey-en');
});

test('the account page lists, renames and removes passkeys, and ends another session', async () => {
  const { page, context } = await newPage();
  await signInByLink(page, { name: 'dora', role: 'operator', projects: ['shop'] });
  const elsewhere = await newPage();
  await signInByLink(elsewhere.page, { name: 'dora' });
  await page.getByRole('link', { name: 'Account' }).click();
  await page.getByText('Your role: operator · limited to shop').waitFor();
  assert.equal(await page.getByRole('link', { name: 'People' }).count(), 0, 'for admins only');
  await addPasskey(page);
  await page.getByRole('button', { name: 'Rename…' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('my <b>ring</b>');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByText('my <b>ring</b>').waitFor();
  await shot(page, 'account-en');
  await page.getByRole('listitem').filter({ hasText: /seen/ }).getByRole('button', { name: 'End' }).click();
  await page.getByRole('listitem').filter({ hasText: /seen/ }).waitFor({ state: 'detached' });
  await elsewhere.page.reload();
  await elsewhere.page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
  await age('dora');
  await page.getByRole('button', { name: 'Remove…' }).click();
  await page.getByRole('dialog').getByText('It is your last one').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('No passkey yet. Without one').waitFor();
  assert.equal(context.pages().length, 1);
});

test('an admin invites a person, changes their role and disables them', async () => {
  const { page } = await newPage();
  await signInByLink(page, { name: 'erik' });
  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('button', { name: 'Invite…' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Фёдор');
  await page.getByRole('dialog').getByLabel('Role').selectOption('viewer');
  await page.getByRole('dialog').getByLabel('Projects').fill('shop, web');
  await shot(page, 'invite-en');
  await page.getByRole('dialog').getByRole('button', { name: 'Make the link' }).click();
  const link = await page.getByRole('textbox', { name: 'Sign-in link for Фёдор' }).inputValue();
  await shot(page, 'link-en');
  await page.getByRole('button', { name: 'Done' }).click();
  const invited = await newPage();
  await invited.page.goto(link);
  await invited.page.getByText('Signed in as Фёдор').waitFor();
  const row = page.getByRole('row').filter({ hasText: 'Фёдор' });
  assert.match((await row.textContent()) ?? '', /viewer.*shop, web/);
  await row.getByRole('button', { name: 'Change…' }).click();
  await page.getByRole('dialog').getByLabel('Role').selectOption('operator');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await row.getByText('operator').waitFor();
  await row.getByRole('button', { name: 'Disable…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
  await row.getByText('disabled').waitFor();
  await shot(page, 'people-en');
  await invited.page.reload();
  await invited.page.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
});

test('all of it in Russian, on every page, and the language switch stays on the page', async () => {
  const { page } = await newPage('ru-RU');
  await page.goto(url);
  await page.getByRole('button', { name: 'Войти с ключом доступа' }).waitFor();
  await shot(page, 'sign-in-ru');
  await signInByLink(page, { name: 'Галина' });
  await page.getByText('Добавьте ключ доступа сейчас.').waitFor();
  await page.goto(`${url}/people`);
  await page.getByRole('heading', { level: 1, name: 'Люди' }).waitFor();
  await shot(page, 'people-ru');
  await page.goto(`${url}/account`);
  await page.getByText('Ваша роль: администратор').waitFor();
  await shot(page, 'account-ru');
  await page.getByRole('link', { name: 'English' }).click();
  await page.getByText('Your role: admin').waitFor();
});

test('people of an issuer sign in there, and go there again to confirm a restore', async () => {
  const issuer = await startOidcIssuer();
  after(() => issuer.close());
  const plane = await startNodeControlPlane(
    await testDatabase(),
    issuer.env([{ claim: 'groups', value: 'ops', role: 'operator' }]),
  );
  after(() => plane.close());
  const origin = byName(plane.origin);
  const hostId = stage.hostId;
  await plane.database.sql`insert into hosts (id, name) values (${hostId}, 'amber')`;
  const workload = await addWorkload(plane, hostId, { name: 'ledger' });
  await addSnapshot(plane, workload);
  const { page } = await newPage();
  issuer.person = { sub: 'h', preferred_username: 'hanna', groups: [] };
  await page.goto(`${origin}/#ledger`);
  await page.getByRole('button', { name: 'Sign in at localhost' }).click();
  await page.getByText('Your account has no role here').waitFor();
  await shot(page, 'no-role-en');
  issuer.person = { ...issuer.person, groups: ['ops'] };
  await page.getByRole('button', { name: 'Sign in at localhost' }).click();
  await page.getByText('Signed in as hanna').waitFor();
  await plane.database.sql`update sessions set proof_at = now() - interval '301 seconds'`;
  const open = async () => {
    await page
      .getByRole('button', { name: /^Restore the snapshot/ })
      .first()
      .click();
    await page.getByRole('textbox', { name: /Type the name/ }).fill('ledger');
    await page.getByRole('button', { name: 'Restore', exact: true }).click();
  };
  await open();
  await page.getByRole('dialog').getByRole('button', { name: 'Go to the issuer and come back' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('heading', { level: 1, name: 'ledger' }).waitFor();
  await open();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const [row] = await plane.database.sql`select requested_by from intents where kind = 'restore'`;
  assert.equal(row?.['requested_by'], 'hanna');
});
