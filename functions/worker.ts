/**
 * Entry on Cloudflare Workers. The database is reached through Hyperdrive: a new client for each request, since a Worker may
 * not use a connection of another request, and Hyperdrive pools on its side.
 */
import { type Connection, connect } from '../db/client.ts';
import { scrub } from '../db/scrub.ts';
import { type App, createApp } from './app.ts';
import { readKeySet } from './auth/key-set.ts';
import { oidcClient } from './auth/oidc.ts';
import { clientAddress } from './client-address.ts';
import { readServerConfig } from './config.ts';
import type { AppDeps } from './deps.ts';
import { keepHouse } from './housekeeping.ts';
import { fetchJsonBy } from './outbound.ts';

/** Bindings of wrangler.toml. */
interface WorkerEnv {
  readonly HYPERDRIVE: { readonly connectionString: string };
  readonly [name: string]: unknown;
}

interface WorkerContext {
  waitUntil(work: Promise<unknown>): void;
  passThroughOnException(): void;
  readonly props: unknown;
}

/** Event streams look at the database less often than on Node, and end sooner: each look is one of a request's subrequests. */
const EVENT_STREAM = { pollMs: 500, idlePollMs: 4000, maxMs: 5 * 60_000 };

let app: Promise<App> | undefined;

const writeLog: AppDeps['log'] = (level, message, facts) =>
  console[level](scrub(JSON.stringify({ level, message, ...facts })));

function openDatabase({ HYPERDRIVE }: WorkerEnv): Connection {
  return connect(HYPERDRIVE.connectionString, { max: 5, fetchTypes: false, applicationName: 'refloat-api' });
}

async function build(env: WorkerEnv): Promise<App> {
  const texts = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
  const config = readServerConfig(texts);
  return createApp({
    database: {
      acquire: (context) => {
        const { db, close } = openDatabase(context.env as unknown as WorkerEnv);
        return { db, release: close };
      },
    },
    keys: await readKeySet(config.signingKeys),
    issuer: config.issuer,
    publicOrigin: config.publicOrigin,
    // Hyperdrive's own address is of no use to agents.
    agentDatabaseUrl: texts['REFLOAT_AGENT_DATABASE_URL'],
    oidc: config.oidc === undefined ? undefined : oidcClient(config.oidc, () => new Date()),
    fetchJson: fetchJsonBy(config.issuerAccess),
    now: () => new Date(),
    log: writeLog,
    afterResponse: (context, work) => context.executionCtx.waitUntil(work),
    rateLimits: config.rateLimits,
    // Cloudflare sets it, and takes away what the client sent under this name.
    clientAddress: (context) => clientAddress(context.req.header('cf-connecting-ip'), undefined, 0),
    eventStream: EVENT_STREAM,
  });
}

export default {
  async fetch(request: Request, env: WorkerEnv, context: WorkerContext): Promise<Response> {
    // A failure is not kept: the next request tries again.
    app ??= build(env).catch((error: unknown) => {
      app = undefined;
      throw error;
    });
    try {
      return await (await app).fetch(request, env, context);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL';
      const detail = code === 'CONFIG_INVALID' && error instanceof Error ? error.message : 'the server cannot start';
      console.error(JSON.stringify({ level: 'error', message: detail, code }));
      return Response.json(
        {
          type: 'about:blank',
          title: 'Service Unavailable',
          status: 503,
          code,
          detail,
          hint: 'See the log of the Worker.',
        },
        { status: 503, headers: { 'content-type': 'application/problem+json' } },
      );
    }
  },

  /** The cron trigger of wrangler.toml. */
  async scheduled(_event: unknown, env: WorkerEnv): Promise<void> {
    const { db, close } = openDatabase(env);
    try {
      await keepHouse(db, writeLog);
    } finally {
      await close();
    }
  },
};
