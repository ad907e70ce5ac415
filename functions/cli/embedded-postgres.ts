/**
 * A PostgreSQL server of our own, for `refloat up` without REFLOAT_DATABASE_URL and for the tests.
 *
 * Guarantees: listens on loopback only, with a random password (scram); the data directory may lie anywhere, also below
 * directories that the server's user cannot enter; a server that an earlier, killed process left behind on the same data
 * directory is stopped first.
 * Does not guarantee: that two processes do not use one data directory at once; the caller holds a lock.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';

/**
 * The server reaches its data directory through its own working directory, which the kernel hands over as opened by us;
 * so no directory above it needs to be open to the server's user.
 */
const HERE = '/proc/self/cwd';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

export interface EmbeddedPostgresOptions {
  /** Holds `data/` and `server.json` (port and password, mode 0600). Made when missing. */
  readonly directory: string;
  /** Trades durability for speed: for tests, whose data dies with them. */
  readonly volatile?: boolean;
  /** 200 unless told. */
  readonly maxConnections?: number;
}

export interface EmbeddedPostgres {
  /** Superuser connection to the database `refloat`. Holds the password. */
  readonly url: string;
  /** Resolves when the server process is gone, whoever ended it. */
  readonly exited: Promise<void>;
  /** Fast shutdown: sessions are ended, data is flushed. */
  stop(): Promise<void>;
}

/** Throws `DATABASE_UNAVAILABLE` with the end of the server's log if it does not start within a minute. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const programs = postgresBinaries();
  const data = path.join(options.directory, 'data');
  fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const saved = readSaved(options.directory);
  const password = saved?.password ?? randomBytes(24).toString('base64url');
  await stopOrphan(data);
  if (!fs.existsSync(path.join(data, 'PG_VERSION')) || saved === undefined) {
    await initialise(programs, options.directory, data, password);
  }
  for (let attempt = 1; ; attempt++) {
    const port = attempt === 1 && saved !== undefined ? saved.port : await freePort();
    const started = await start(programs, data, port, options);
    if ('child' in started) {
      const { child } = started;
      save(options.directory, { port, password });
      // Last resort when this process ends without having stopped the server in order.
      const abandon = (): void => void child.kill('SIGQUIT');
      process.once('exit', abandon);
      const exited = exitOf(child).then(() => void process.off('exit', abandon));
      await ensureDatabase(databaseUrl({ port, password }, 'postgres'));
      return { url: databaseUrl({ port, password }, 'refloat'), exited, stop: () => stop(child) };
    }
    if (attempt < 5 && /Address already in use|could not bind/.test(started.log)) continue;
    throw new RefloatError('DATABASE_UNAVAILABLE', `the embedded PostgreSQL did not start: ${lastLines(started.log)}`, {
      hint: `Look at ${options.directory}, or set REFLOAT_DATABASE_URL to a PostgreSQL of your own.`,
      disposition: 'fail',
    });
  }
}

/** Of the server that was started last on this directory; undefined if none ever was. */
export function savedDatabaseUrl(directory: string): string | undefined {
  const saved = readSaved(directory);
  return saved === undefined ? undefined : databaseUrl(saved, 'refloat');
}

function databaseUrl({ port, password }: Saved, database: string): string {
  return `postgres://refloat:${password}@127.0.0.1:${port}/${database}`;
}

interface Saved {
  readonly port: number;
  readonly password: string;
}

function readSaved(directory: string): Saved | undefined {
  try {
    return JSON.parse(fs.readFileSync(path.join(directory, 'server.json'), 'utf8')) as Saved;
  } catch {
    return undefined;
  }
}

function save(directory: string, saved: Saved): void {
  fs.writeFileSync(path.join(directory, 'server.json'), `${JSON.stringify(saved)}\n`, { mode: 0o600 });
}

/** Makes the cluster. A half-made one, from a run that was cut short before `server.json`, is made anew. */
async function initialise(
  programs: PostgresBinaries,
  directory: string,
  data: string,
  password: string,
): Promise<void> {
  fs.rmSync(data, { recursive: true, force: true });
  fs.mkdirSync(data, { mode: 0o700 });
  const passwordFile = path.join(directory, 'initdb-password');
  fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const { uid, gid } = programs.identity;
  if (uid !== undefined && gid !== undefined) {
    fs.chownSync(data, uid, gid);
    fs.chownSync(passwordFile, uid, gid);
  }
  const passwordFd = fs.openSync(passwordFile, 'r');
  fs.unlinkSync(passwordFile);
  const child = spawn(
    programs.initdb,
    [
      `--pgdata=${HERE}`,
      '--username=refloat',
      '--pwfile=/proc/self/fd/3',
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      '--no-instructions',
    ],
    { cwd: data, ...programs.identity, env: serverEnv(), stdio: ['ignore', 'pipe', 'pipe', passwordFd] },
  );
  const log = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  fs.closeSync(passwordFd);
  if (code === 0) return;
  throw new RefloatError('DATABASE_UNAVAILABLE', `initdb failed: ${lastLines(log.text())}`, {
    hint: `Make sure that ${directory} is on a file system with space left and is not mounted noexec or read-only.`,
    disposition: 'fail',
  });
}

async function start(
  programs: PostgresBinaries,
  data: string,
  port: number,
  { volatile = false, maxConnections = 200 }: EmbeddedPostgresOptions,
): Promise<{ child: ChildProcess } | { log: string }> {
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: String(maxConnections),
    lc_messages: 'C',
    // A shutdown may not wait for an archiver or a stand-by that nobody has.
    wal_level: 'minimal',
    max_wal_senders: '0',
    ...(volatile ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  };
  const server = [
    programs.postgres,
    '-D',
    HERE,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const [command = '', ...args] = [...tiedToUs(), ...server];
  const child = spawn(
    command,
    args,
    // Its own process group: an interrupt typed at the terminal is for us, and we stop the server last.
    { cwd: data, ...programs.identity, env: serverEnv(), stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  const log = collect(child);
  const ready = await Promise.race([
    log.seen('database system is ready to accept connections'),
    once(child, 'close').then(
      () => false,
      () => false,
    ),
    delay(START_TIMEOUT_MS, false, { ref: false }),
  ]);
  if (ready) return { child };
  if (child.exitCode === null && child.signalCode === null) await stop(child);
  return { log: log.text() };
}

/** A wrapper that has the kernel stop the server when this process is killed; nothing where there is no such program. */
function tiedToUs(): string[] {
  const { status, stdout } = spawnSync('setpriv', ['--help'], { encoding: 'utf8' });
  return status === 0 && stdout.includes('--pdeathsig') ? ['setpriv', '--pdeathsig', 'INT', '--'] : [];
}

async function ensureDatabase(url: string): Promise<void> {
  const { sql, close } = connect(url, { max: 1 });
  try {
    const there = await sql`select from pg_database where datname = 'refloat'`;
    if (there.length === 0) await sql`create database refloat`;
  } finally {
    await close();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const gone = exitOf(child);
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** A server that still runs on `data`, although the caller holds the lock, lost its parent. */
async function stopOrphan(data: string): Promise<void> {
  const pid = Number.parseInt(readText(path.join(data, 'postmaster.pid')), 10);
  const isOurs = (): boolean => Number.isInteger(pid) && linkOf(`/proc/${pid}/cwd`) === fs.realpathSync(data);
  if (!isOurs()) return;
  process.kill(pid, 'SIGINT');
  for (const begin = Date.now(); isOurs(); await delay(20)) {
    if (Date.now() - begin > STOP_TIMEOUT_MS) process.kill(pid, 'SIGQUIT');
    if (Date.now() - begin > 2 * STOP_TIMEOUT_MS) {
      throw new RefloatError(
        'DATABASE_UNAVAILABLE',
        `a PostgreSQL server (process ${pid}) still uses ${data} and does not stop`,
        {
          hint: 'Stop it by hand, then start again.',
        },
      );
    }
  }
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linkOf(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}

function collect(child: ChildProcess): { text(): string; seen(words: string): Promise<true> } {
  let text = '';
  const waiting: { words: string; resolve: (value: true) => void }[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-16_384);
      for (const { words, resolve } of waiting) if (text.includes(words)) resolve(true);
    });
  }
  return { text: () => text, seen: (words) => new Promise((resolve) => waiting.push({ words, resolve })) };
}

function lastLines(log: string): string {
  return log.trim().split('\n').slice(-4).join(' | ') || 'it said nothing';
}

/** Only what the server needs: no secret of ours is inherited. */
function serverEnv(): Record<string, string> {
  return { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has no port');
  return address.port;
}
