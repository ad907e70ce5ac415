/**
 * Entry on Node: the app behind an HTTP server with a pool of connections.
 *
 * Guarantees: `close` lets requests, and a round of housekeeping, under way finish for a few seconds, then ends event streams and the pool.
 */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import { getConnInfo } from '@hono/node-server/conninfo';
import { Cron } from 'croner';
import type { Logger } from 'pino';
import { connect } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import { createApp } from './app.ts';
import { readKeySet } from './auth/key-set.ts';
import { oidcClient } from './auth/oidc.ts';
import { clientAddress } from './client-address.ts';
import type { ServerConfig } from './config.ts';
import type { AppContext, AppDeps } from './deps.ts';
import { HOUSEKEEPING_CRON, keepHouse } from './housekeeping.ts';
import { answerMalformed, malformedRequest } from './malformed.ts';
import { nodeFetchJson } from './outbound-node.ts';

/** Longer than clients and proxies keep an idle connection, so that none sends a request into one that is being closed. */
const KEEP_ALIVE_MS = 75_000;

/** For requests under way; event streams are cut, and their clients come back. */
const DRAIN_MS = 1500;

export interface NodeServerOptions {
  readonly config: ServerConfig;
  readonly databaseUrl: string;
  /** 0: any free one. */
  readonly port: number;
  readonly hostname: string;
  readonly log: Logger;
  readonly now?: () => Date;
}

export interface NodeServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Throws `CONFIG_INVALID` for keys or addresses that cannot be used. The database may still be away. */
export async function startNodeServer({
  config,
  databaseUrl,
  port,
  hostname,
  log,
  now = () => new Date(),
}: NodeServerOptions): Promise<NodeServer> {
  const connection = connect(databaseUrl, {
    max: 20,
    applicationName: 'refloat-api',
  });
  const writeLog: AppDeps['log'] = (level, message, facts) => log[level](facts, message);
  const app = createApp({
    database: { acquire: () => ({ db: connection.db, release: () => Promise.resolve() }) },
    keys: await readKeySet(config.signingKeys),
    issuer: config.issuer,
    publicOrigin: config.publicOrigin,
    agentDatabaseUrl: config.agentDatabaseUrl,
    oidc: config.oidc === undefined ? undefined : oidcClient(config.oidc, now),
    fetchJson: nodeFetchJson(config.issuerAccess),
    now,
    rateLimits: config.rateLimits,
    clientAddress: (context) =>
      clientAddress(peerOf(context), context.req.header('x-forwarded-for'), config.trustedProxies),
    log: writeLog,
    afterResponse: (_context, work) => {
      work.catch((error: unknown) =>
        log.error({ error: error instanceof Error ? error.name : 'unknown' }, 'releasing a request failed'),
      );
    },
  });
  const server = createServer(getRequestListener(app.fetch, { errorHandler: malformedRequest }));
  answerMalformed(server);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  try {
    const listening = once(server, 'listening');
    server.listen(port, hostname);
    await listening;
  } catch (error) {
    await connection.close();
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new RefloatError('CONFIG_INVALID', `cannot listen on ${hostname} port ${port} (${code})`, {
      hint:
        code === 'EADDRINUSE'
          ? 'Another program uses this port. Choose one with --port or REFLOAT_PORT; 0 takes any free one.'
          : 'Choose another port or address.',
    });
  }
  let round: Promise<unknown> = Promise.resolve();
  const housekeeping = new Cron(HOUSEKEEPING_CRON, { protect: true, unref: true }, async () => {
    round = keepHouse(connection.db, writeLog);
    await round;
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      housekeeping.stop();
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(timer);
      // A round under way would find its connections gone, and complain.
      await Promise.race([round, delay(DRAIN_MS, undefined, { ref: false })]);
      await connection.close();
    },
  };
}

/** Undefined for a request that came through no socket. */
function peerOf(context: AppContext): string | undefined {
  try {
    return getConnInfo(context).remote.address;
  } catch {
    return undefined;
  }
}
