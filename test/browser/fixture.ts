/** A control plane whose host is moved by hand, and a browser that signs in as a person does. */
import { after } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { testBrowser } from '../helpers/chromium.ts';
import { signInSecret } from '../helpers/control-plane.ts';
import { type HandStage, handStage } from '../helpers/hand.ts';

interface Look {
  readonly locale?: string;
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
}

export interface Fixture extends HandStage {
  readonly url: string;
  /** A one-time sign-in link. */
  signInLink(): Promise<string>;
  /** A browser context of its own, not signed in; closed with its test. */
  context(look?: Look): Promise<BrowserContext>;
  /** A page that is signed in and shows the workload. */
  signedIn(look?: Look): Promise<Page>;
}

/** Call it at the top of a test file: browser and server end with the file. */
export async function fixture(): Promise<Fixture> {
  const browser = await testBrowser();
  const stage = await handStage();
  const url = stage.plane.origin;
  const signInLink = async () => `${url}/sign-in#${await signInSecret(stage.plane)}`;
  const context: Fixture['context'] = async ({ locale = 'en-GB', colorScheme = 'light', width = 1200 } = {}) => {
    const made = await browser.newContext({
      locale,
      colorScheme,
      viewport: { width, height: 900 },
      reducedMotion: 'reduce',
    });
    after(() => made.close());
    return made;
  };
  const signedIn: Fixture['signedIn'] = async (look) => {
    const page = await (await context(look)).newPage();
    await page.goto(await signInLink());
    await page.getByRole('heading', { level: 1, name: stage.workloadName }).waitFor();
    return page;
  };
  return { ...stage, url, signInLink, context, signedIn };
}
