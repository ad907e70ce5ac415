/**
 * `refloat up`: PostgreSQL, API, console and this machine's agent, in one command.
 *
 * Guarantees: data and keys survive restarts on the same state directory; everything listens on loopback; an end in order
 * stops the agent first (it finishes what runs), PostgreSQL last.
 */
import os from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import { type Connection, connect } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { migrate } from '../../db/migrate.ts';
import { findHost } from '../../db/queries/find-host.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { insertHost } from '../../db/queries/insert-host.ts';
import { createSignInLink, invite } from '../auth/invite.ts';
import { issueToken } from '../auth/issue-token.ts';
import { readKeySet } from '../auth/key-set.ts';
import { createOneTimeLink, ENROLLMENT_TTL_SECONDS, signInUrl } from '../auth/one-time.ts';
import { SCOPES_OF_TOKENS } from '../auth/scopes.ts';
import { readServerConfig, type ServerConfig } from '../config.ts';
import { startNodeServer } from '../node.ts';
import { type AgentProcess, enrollAgent, startAgent } from './agent-process.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { makeLog } from './log.ts';
import { hostOption, parsePort, portOption } from './options.ts';
import { printJson, runServerCommand } from './server-command.ts';
import {
  defaultStateDir,
  lockStateDir,
  prepareStateDir,
  readStateHost,
  stateKeys,
  writeStateHost,
} from './state-dir.ts';
import { untilStopped } from './until-stopped.ts';

const ADMIN = 'admin';
const ADMIN_TOKEN_TTL_SECONDS = 30 * 24 * 3600;

interface UpOptions {
  readonly port?: string;
  readonly host: string;
  readonly stateDir?: string;
  readonly agent: boolean;
  readonly json?: boolean;
}

interface Ready {
  readonly url: string;
  readonly signInLink: string;
  readonly adminToken: string;
  readonly databaseUrl: string;
  readonly hostId: string;
  /** For an agent of this host; null when `up` runs it itself. */
  readonly enrollmentToken: string | null;
}

export function upCommand(): Command {
  return new Command('up')
    .description('PostgreSQL, API, console and an agent for this machine, all in one')
    .addOption(portOption())
    .addOption(hostOption())
    .addOption(new Option('--state-dir <dir>', 'where data and keys are kept (REFLOAT_STATE_DIR, or /var/lib/refloat)'))
    .option('--no-agent', 'without an agent; the enrollment token is for one that you start')
    .option('--json', 'one line of JSON when ready')
    .action(async (options: UpOptions) => runServerCommand(options.json === true, () => up(options)));
}

async function up(options: UpOptions): Promise<void> {
  const stateDir = path.resolve(options.stateDir ?? defaultStateDir(process.env));
  const log = makeLog();
  /** What was started, in order; ended in reverse. */
  const started: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (let stop = started.pop(); stop !== undefined; stop = started.pop()) await stop();
  };
  const stopped = untilStopped();
  try {
    prepareStateDir(stateDir);
    const lock = await lockStateDir(stateDir);
    started.push(() => lock.release());
    const database = await openDatabase(stateDir, started);
    const config = readServerConfig(
      { ...process.env, REFLOAT_DATABASE_URL: database.url },
      { signingKeys: await stateKeys(stateDir) },
    );
    await migrate(database.url);
    const server = await startNodeServer({
      config,
      databaseUrl: database.url,
      port: parsePort(options.port),
      hostname: options.host,
      log,
    });
    started.push(() => server.close());
    const apiUrl = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${server.port}`;
    const consoleUrl = config.publicOrigin ?? forPeople(apiUrl);
    lock.announce({ url: consoleUrl });
    const { enrollmentToken, ...ready } = await bootstrap(
      database.url,
      config,
      { apiUrl: config.publicOrigin ?? apiUrl, consoleUrl },
      stateDir,
    );
    if (options.agent) {
      const agent = await runAgent({ stateDir: path.join(stateDir, 'agent'), apiUrl, log }, enrollmentToken);
      started.push(() => agent.stop());
      stopped.again(() => void agent.stop());
    }
    report(
      { ...ready, databaseUrl: database.url, enrollmentToken: options.agent ? null : enrollmentToken },
      options.json === true,
    );
    await Promise.race([stopped.signal, database.lost]);
  } finally {
    await stopAll();
    stopped.off();
  }
}

/** `lost` rejects when the embedded server ends by itself. */
async function openDatabase(
  stateDir: string,
  started: (() => Promise<void>)[],
): Promise<{ url: string; lost: Promise<never> }> {
  const given = process.env['REFLOAT_DATABASE_URL'];
  if (given !== undefined && given !== '') return { url: given, lost: new Promise(() => undefined) };
  const postgres = await startEmbeddedPostgres({ directory: path.join(stateDir, 'postgres') });
  started.push(() => postgres.stop());
  const lost = postgres.exited.then((): never => {
    throw new RefloatError('DATABASE_UNAVAILABLE', 'the embedded PostgreSQL ended by itself', {
      hint: `Start again. Its data is in ${path.join(stateDir, 'postgres')}.`,
      disposition: 'fail',
    });
  });
  lost.catch(() => undefined);
  return { url: postgres.url, lost };
}

/** Passkeys belong to names: browsers have none for an address like 127.0.0.1. */
function forPeople(apiUrl: string): string {
  return apiUrl.replace(/^http:\/\/(127\.0\.0\.1|\[::1\])(?=:|$)/, 'http://localhost');
}

async function bootstrap(
  databaseUrl: string,
  config: ServerConfig,
  { apiUrl, consoleUrl }: { readonly apiUrl: string; readonly consoleUrl: string },
  stateDir: string,
): Promise<Omit<Ready, 'databaseUrl' | 'enrollmentToken'> & { enrollmentToken: string }> {
  const connection = connect(databaseUrl, { max: 1 });
  try {
    const hostId = await ownHost(connection, stateDir);
    const { db } = connection;
    const now = (): Date => new Date();
    const context = { keys: await readKeySet(config.signingKeys), issuer: config.issuer, now };
    return await db.transaction(async (tx) => {
      const person = await invite(tx, { name: ADMIN, role: 'admin', projects: null, createdBy: 'refloat up' });
      const link = await createSignInLink(tx, person, now());
      const enrollment = await createOneTimeLink(
        tx,
        { purpose: 'enrollment', subject: os.hostname(), hostId },
        ENROLLMENT_TTL_SECONDS,
        now(),
      );
      const { jwt, row } = await issueToken(tx, context, {
        subject: ADMIN,
        scopes: SCOPES_OF_TOKENS,
        workloads: null,
        createdBy: 'refloat up',
        ttlSeconds: ADMIN_TOKEN_TTL_SECONDS,
      });
      await insertAudit(tx, {
        actor: 'refloat up',
        action: 'up',
        target: `host:${hostId}`,
        outcome: 'accepted',
        details: { adminToken: row.jti },
      });
      return {
        url: apiUrl,
        signInLink: signInUrl(consoleUrl, link),
        adminToken: jwt,
        hostId,
        enrollmentToken: enrollment.secret,
      };
    });
  } finally {
    await connection.close();
  }
}

/** This machine's row, the same after a restart. */
async function ownHost({ db }: Connection, stateDir: string): Promise<string> {
  const saved = readStateHost(stateDir);
  if (saved !== undefined) {
    const row = await findHost(db, saved.hostId);
    if (row !== null && row.revokedAt === null) return row.id;
  }
  const name =
    os
      .hostname()
      .replaceAll(/[^a-zA-Z0-9._-]/g, '-')
      .replace(/^[^a-zA-Z0-9]+/, '')
      .slice(0, 50) || 'host';
  const id = newId();
  const row = await db.transaction(async (tx) => {
    const inserted = (await insertHost(tx, id, name)) ?? (await insertHost(tx, id, `${name}-${id.slice(-8)}`));
    if (inserted === null) throw new Error('no free name for this host');
    await insertAudit(tx, {
      actor: 'refloat up',
      action: 'createHost',
      target: `host:${id}`,
      outcome: 'accepted',
      details: { name: inserted.name },
    });
    return inserted;
  });
  writeStateHost(stateDir, { hostId: row.id });
  return row.id;
}

async function runAgent(
  options: { stateDir: string; apiUrl: string; log: Logger },
  token: string,
): Promise<AgentProcess> {
  await enrollAgent(options, token);
  return startAgent(options);
}

function report(ready: Ready, json: boolean): void {
  if (json) {
    printJson(ready);
    return;
  }
  process.stdout.write(
    [
      `Refloat is up at ${ready.url}`,
      '',
      'Sign in (works once, for an hour):',
      `  ${ready.signInLink}`,
      '',
      'For scripts (30 days, all rights):',
      `  export REFLOAT_PUBLIC_URL=${ready.url}`,
      `  export REFLOAT_TOKEN=${ready.adminToken}`,
      ...(ready.enrollmentToken === null
        ? []
        : [
            '',
            `For the agent of this host (works once, for ${ENROLLMENT_TTL_SECONDS / 60} minutes):`,
            `  refloat-agent enroll --api ${ready.url} --token ${ready.enrollmentToken}`,
          ]),
      '',
      'Stop with Ctrl-C.',
      '',
    ].join('\n'),
  );
}
