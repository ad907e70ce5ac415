/** `refloat` as a process of its own. Everything that a test starts is stopped when its file ends. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { after } from 'node:test';
import { keepLog, registerCanary } from './canary.ts';
import { programOf } from './program.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const PROGRAM = programOf('refloat');
const READY_TIMEOUT_MS = 120_000;

export interface RefloatProcess {
  readonly pid: number;
  /** The first line of standard output, as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: each command prints its own object
  readonly ready: any;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, and the end. */
  stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface RefloatEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  // biome-ignore lint/suspicious/noExplicitAny: each command prints its own object
  readonly json: any;
}

const running = new Set<ChildProcessByStdio<null, Readable, Readable>>();
after(async () => {
  for (const child of running) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});

/** A process whose output and end the caller follows. */
export function spawnRefloat(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('REFLOAT_') && !name.startsWith('NODE_TEST')),
  );
  const child = spawn(process.execPath, [...PROGRAM, ...args], {
    cwd: ROOT,
    env: { ...inherited, REFLOAT_LOG: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output.stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
    keepLog('refloat', chunk);
  });
  // Not `close`: an agent that outlives its starter keeps the pipe of standard error open.
  const exited = once(child, 'exit').then(([code, signal]) => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  return { child, output, exited };
}

/** Starts a command that stays, and waits for its first line. */
export async function startRefloat(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RefloatProcess> {
  const { child, output, exited } = spawnRefloat(args, env);
  const line = new Promise<string>((resolve) => {
    child.stdout.on('data', () => {
      const end = output.stdout.indexOf('\n');
      if (end >= 0) resolve(output.stdout.slice(0, end));
    });
  });
  const timeout = AbortSignal.timeout(READY_TIMEOUT_MS);
  const first = await Promise.race([
    line,
    exited.then(({ code }) => {
      throw new Error(`refloat ${args[0]} ended with ${code}: ${output.stdout} ${output.stderr}`);
    }),
    once(timeout, 'abort').then(() => {
      throw new Error(`refloat ${args[0]} said nothing: ${output.stderr}`);
    }),
  ]);
  const ready = JSON.parse(first);
  registerCanary(ready.adminToken?.split('.')[2]);
  registerCanary(ready.signInLink?.split('#')[1]);
  registerCanary(ready.enrollmentToken ?? undefined);
  return {
    pid: child.pid ?? 0,
    ready,
    exited,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    kill: (signal) => void child.kill(signal),
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

/** Runs a command to its end; `json` is the last line, if it is JSON. */
export async function runRefloat(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RefloatEnd> {
  const { child, output, exited } = spawnRefloat(args, env);
  const closed = once(child, 'close');
  const { code } = await exited;
  await closed;
  const last = output.stdout.trim().split('\n').at(-1) ?? '';
  return { code, ...output, json: last.startsWith('{') ? JSON.parse(last) : undefined };
}
