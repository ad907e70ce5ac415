/** Chromium for browser tests: the one of the machine, a fresh profile each time, no traffic of its own. */
import { existsSync } from 'node:fs';
import { after } from 'node:test';
import { type Browser, chromium } from 'playwright-core';
import { ensureTestTools } from './tools.ts';

const EXECUTABLE = '/usr/bin/chromium';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let shared: Promise<Browser> | undefined;

/** One browser per test file, closed when the file ends; its profile goes with it. Contexts keep tests apart. */
export function testBrowser(): Promise<Browser> {
  shared ??= launch();
  return shared;
}

async function launch(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) ensureTestTools();
  const browser = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS, headless: true });
  after(() => browser.close());
  return browser;
}
