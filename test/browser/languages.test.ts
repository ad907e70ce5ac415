import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture } from './fixture.ts';

const f = await fixture();

test('the language follows Accept-Language', async () => {
  const english = await f.signedIn({ locale: 'en-GB' });
  await english.getByRole('heading', { name: 'Snapshots' }).waitFor();
  assert.equal(await english.locator('html').getAttribute('lang'), 'en');
  const russian = await f.signedIn({ locale: 'ru-RU' });
  await russian.getByRole('heading', { name: 'Снимки' }).waitFor();
  assert.equal(await russian.locator('html').getAttribute('lang'), 'ru');
});

test('the switch wins over Accept-Language and is remembered', async () => {
  const page = await f.signedIn({ locale: 'en-GB' });
  await page.getByRole('link', { name: 'Русский' }).click();
  await page.getByRole('button', { name: 'Сделать снимок' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Сделать снимок' }).waitFor();
  await page.getByRole('link', { name: 'English' }).click();
  await page.getByRole('button', { name: 'Capture now' }).waitFor();
});

test('no English is left on the Russian page', async () => {
  const page = await f.signedIn({ locale: 'ru-RU' });
  const text = await page.evaluate(() => {
    for (const element of document.querySelectorAll(
      'noscript, code, .languages, .account-name, h1, dd, .workload-list',
    ))
      element.remove();
    return document.body.textContent ?? '';
  });
  assert.match(text, /Снимков пока нет/);
  assert.doesNotMatch(text.replace('Refloat', ''), /[A-Za-z]{3,}/);
});
