/**
 * The state directory of `refloat up`: `postgres/`, `agent/`, `signing-keys.json`, `host.json`.
 *
 * Guarantees: one `refloat up` per directory; the lock ends with its process, however that ends.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { generateKeySet } from '../auth/key-set.ts';

export interface StateLock {
  /** Tells a second `up` where this one is. */
  announce(facts: { readonly url: string }): void;
  release(): Promise<void>;
}

export function defaultStateDir(env: NodeJS.ProcessEnv): string {
  const given = env['REFLOAT_STATE_DIR'];
  if (given !== undefined && given !== '') return given;
  if (process.getuid?.() === 0) return '/var/lib/refloat';
  return path.join(env['XDG_STATE_HOME'] ?? path.join(os.homedir(), '.local/state'), 'refloat');
}

/** Makes the directory, private to its owner. Throws `CONFIG_INVALID`. */
export function prepareStateDir(directory: string): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new RefloatError('CONFIG_INVALID', `the state directory ${directory} cannot be used (${code})`, {
      hint: 'Choose another one with --state-dir or REFLOAT_STATE_DIR.',
    });
  }
}

/** Throws `CONFIG_INVALID` while another `refloat up` uses the directory. */
export async function lockStateDir(directory: string): Promise<StateLock> {
  const address = addressOf(directory);
  let facts = JSON.stringify({ pid: process.pid });
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(facts);
  });
  try {
    const listening = once(server, 'listening');
    server.listen(address);
    await listening;
  } catch {
    const { pid, url } = await askHolder(address);
    throw new RefloatError(
      'CONFIG_INVALID',
      `refloat up runs already on ${directory}${pid === undefined ? '' : `, as process ${pid}`}`,
      {
        hint:
          url === undefined
            ? 'Stop it first, or choose another --state-dir.'
            : `It is at ${url}. Stop it first, or choose another --state-dir.`,
      },
    );
  }
  server.unref();
  return {
    announce: ({ url }) => {
      facts = JSON.stringify({ pid: process.pid, url });
    },
    release: async () => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** Where the `refloat up` of this directory has its console; undefined while none runs. */
export async function whereUpIs(directory: string): Promise<string | undefined> {
  return fs.existsSync(directory) ? (await askHolder(addressOf(directory))).url : undefined;
}

/** A socket without a file: nothing is left behind by a process that was killed. */
function addressOf(directory: string): string {
  const { dev, ino } = fs.statSync(directory, { bigint: true });
  return `\0refloat-up-${createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)}`;
}

async function askHolder(address: string): Promise<{ pid?: number; url?: string }> {
  try {
    const socket = net.connect(address);
    socket.setTimeout(1000, () => socket.destroy());
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
    return JSON.parse(text) as { pid?: number; url?: string };
  } catch {
    return {};
  }
}

/** The key set of this directory, made on first use, mode 0600. */
export async function stateKeys(directory: string): Promise<string> {
  const file = path.join(directory, 'signing-keys.json');
  if (!fs.existsSync(file)) writeOnce(file, await generateKeySet());
  return fs.readFileSync(file, 'utf8');
}

export interface StateHost {
  readonly hostId: string;
}

export function readStateHost(directory: string): StateHost | undefined {
  try {
    return JSON.parse(fs.readFileSync(path.join(directory, 'host.json'), 'utf8')) as StateHost;
  } catch {
    return undefined;
  }
}

export function writeStateHost(directory: string, host: StateHost): void {
  const file = path.join(directory, 'host.json');
  fs.rmSync(file, { force: true });
  writeOnce(file, JSON.stringify(host));
}

/** There completely or not at all, and never over an existing file. */
function writeOnce(file: string, text: string): void {
  const temporary = `${file}.${process.pid}`;
  const fd = fs.openSync(temporary, 'w', 0o600);
  try {
    fs.writeSync(fd, `${text}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  try {
    fs.linkSync(temporary, file);
  } finally {
    fs.unlinkSync(temporary);
  }
}
