/** A control plane on a database of its own with one host and one workload, and a way to sign in as a person does. */
import { after } from 'node:test';
import pino from 'pino';
import type { BrowserContext, Page } from 'playwright-core';
import { newId } from '../../db/ids.ts';
import { insertHost } from '../../db/queries/insert-host.ts';
import { insertOneTimeLink } from '../../db/queries/insert-one-time-link.ts';
import { insertWorkload } from '../../db/queries/insert-workload.ts';
import { WORKLOAD_CONFIG } from '../../db/workload.ts';
import { generateKeySet } from '../../functions/auth/key-set.ts';
import { randomSecret, sha256Hex } from '../../functions/auth/secrets.ts';
import { readServerConfig } from '../../functions/config.ts';
import { startNodeServer } from '../../functions/node.ts';
import { testBrowser } from '../helpers/chromium.ts';
import { type TestDatabase, testDatabase } from '../helpers/postgres.ts';
import { Hand } from './hand.ts';

export interface Fixture {
  readonly url: string;
  readonly database: TestDatabase;
  readonly hand: Hand;
  readonly workloadId: string;
  readonly workloadName: string;
  /** A one-time sign-in link. */
  signInLink(): Promise<string>;
  /** A browser context of its own, not signed in. */
  context(options?: { locale?: string; colorScheme?: 'light' | 'dark'; width?: number }): Promise<BrowserContext>;
  /** A page that is signed in and shows the workload. */
  signedIn(options?: { locale?: string; colorScheme?: 'light' | 'dark'; width?: number }): Promise<Page>;
}

export async function fixture(): Promise<Fixture> {
  // Here, at the top of a test file: what a test starts ends with that test.
  const browser = await testBrowser();
  const database = await testDatabase();
  const config = readServerConfig({ REFLOAT_SIGNING_KEYS: await generateKeySet() });
  const server = await startNodeServer({
    config,
    databaseUrl: database.url,
    port: 0,
    hostname: '127.0.0.1',
    log: pino({ level: 'silent' }),
  });
  after(() => server.close());
  const url = `http://127.0.0.1:${server.port}`;
  const hostId = newId();
  await insertHost(database.db, hostId, 'amber');
  const workloadId = newId();
  const workloadName = 'shop-db';
  const workload = {
    name: workloadName,
    project: 'shop',
    hostId,
    image: 'postgres:17',
    volumes: [{ name: 'data', scope: 'project', source: 'pgdata', target: '/var/lib/postgresql/data' }],
  } as const;
  await insertWorkload(database.db, workloadId, WORKLOAD_CONFIG.parse(workload));
  const hand = new Hand(database, hostId);
  await hand.appear();

  const signInLink = async () => {
    const secret = randomSecret();
    await insertOneTimeLink(database.db, {
      hash: await sha256Hex(secret),
      purpose: 'sign-in',
      subject: 'olga@example.com',
      expiresAt: new Date(Date.now() + 600_000),
    });
    return `${url}/sign-in#${secret}`;
  };
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
  const signedIn: Fixture['signedIn'] = async (options) => {
    const page = await (await context(options)).newPage();
    await page.goto(await signInLink());
    await page.getByRole('heading', { level: 1, name: workloadName }).waitFor();
    return page;
  };
  return { url, database, hand, workloadId, workloadName, signInLink, context, signedIn };
}
