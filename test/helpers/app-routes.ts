/** The routes of the app as it stands, without a server or a database behind them. */
import { connect } from '../../db/client.ts';
import { type App, createApp } from '../../functions/app.ts';
import { generateKeySet, readKeySet } from '../../functions/auth/key-set.ts';
import { DEFAULT_RATE_LIMITS } from '../../functions/rate-limits.ts';

export async function bareApp(): Promise<{ app: App; close(): Promise<void> }> {
  const connection = connect('postgres://nobody@127.0.0.1:1/none');
  const app = createApp({
    database: { acquire: () => ({ db: connection.db, release: () => Promise.resolve() }) },
    keys: await readKeySet(await generateKeySet()),
    issuer: 'urn:test',
    publicOrigin: undefined,
    agentDatabaseUrl: undefined,
    oidc: undefined,
    fetchJson: () => Promise.resolve(null),
    now: () => new Date(),
    rateLimits: DEFAULT_RATE_LIMITS,
    clientAddress: () => 'test',
    log: () => undefined,
    afterResponse: () => undefined,
  });
  return { app, close: () => connection.close() };
}

/** `METHOD /path/:parameter`, each once. */
export async function routeTable(): Promise<string[]> {
  const { app, close } = await bareApp();
  await close();
  const own = app.routes.filter((route) => route.method !== 'ALL');
  return [...new Set(own.map((route) => `${route.method} ${route.path}`))];
}
