/**
 * Downtime as a client sees it: connections to PostgreSQL one after the other, a few milliseconds apart, from the first
 * that failed to the first that was served again.
 *
 * A connection counts as served when the server answers the startup message by asking for the password. While it starts,
 * or shuts down, PostgreSQL answers with an error instead, so that an open port alone does not count.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Pause between two connections. */
const PAUSE_MS = 3;
const PROBE_TIMEOUT_MS = 1000;

export interface Outage {
  /** From the start of the first failed connection to the end of the first that was served. */
  readonly ms: number;
  readonly failedConnections: number;
}

export interface Watch {
  /** Waits until a connection is served, then says what was seen since `watch`. */
  stop(): Promise<readonly Outage[]>;
}

/** @param signal ends it although no connection is served */
export function watch(port: number, signal: AbortSignal): Watch {
  const outages: Outage[] = [];
  let stopping = false;
  const run = async () => {
    let downSince: number | undefined;
    let failed = 0;
    for (;;) {
      const begin = performance.now();
      if (await serves(port)) {
        if (downSince !== undefined) outages.push({ ms: performance.now() - downSince, failedConnections: failed });
        downSince = undefined;
        failed = 0;
      } else {
        downSince ??= begin;
        failed += 1;
      }
      if (signal.aborted || (stopping && downSince === undefined)) return outages;
      await delay(PAUSE_MS);
    }
  };
  const done = run();
  return {
    stop: () => {
      stopping = true;
      return done;
    },
  };
}

/** Resolves when the server asks for a password; rejects when `signal` is aborted. */
export async function untilServed(port: number, signal: AbortSignal): Promise<void> {
  while (!(await serves(port))) await delay(PAUSE_MS, undefined, { signal });
}

function serves(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const settle = (served: boolean) => {
      socket.destroy();
      resolve(served);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(false));
    socket.once('connect', () => socket.write(STARTUP));
    // "R": authentication request; "E": error, for example "the database system is starting up".
    socket.once('data', (answer) => settle(answer[0] === 0x52));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

/** StartupMessage of protocol 3.0 with user and database. */
const STARTUP = startupMessage({ user: 'postgres', database: 'postgres' });

function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join('');
  const body = Buffer.from(`\0\x03\0\0${text}\0`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}
