import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickLanguage } from '../../../functions/console/language.ts';

const CASES: readonly [cookie: string | undefined, accepted: string | undefined, language: string][] = [
  [undefined, undefined, 'en'],
  [undefined, '', 'en'],
  [undefined, 'ru', 'ru'],
  [undefined, 'ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7', 'ru'],
  [undefined, 'en-US,en;q=0.9,ru;q=0.8', 'en'],
  [undefined, 'de-DE,de;q=0.9,ru;q=0.5,en;q=0.4', 'ru'],
  [undefined, 'de, fr', 'en'],
  [undefined, 'RU;Q=0.3, EN;Q=0.2', 'ru'],
  [undefined, 'ru;q=0, *', 'en'],
  [undefined, 'ru;q=zero', 'en'],
  [undefined, 'rush', 'en'],
  [undefined, ';;;,,,q=1', 'en'],
  ['ru', 'en', 'ru'],
  ['en', 'ru', 'en'],
  ['__proto__', 'ru', 'ru'],
];

for (const [cookie, accepted, language] of CASES) {
  test(`chosen ${cookie}, accepted "${accepted}": ${language}`, () => {
    assert.equal(pickLanguage(cookie, accepted), language);
  });
}
