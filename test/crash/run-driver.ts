/** Runs the driver as a process, by itself or under `strace`, which injects the fault. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Told } from './work.ts';

export interface DriverPlace {
  readonly program: string;
  readonly intentFile: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface DriverOptions {
  /** strace's options, less `-o`; without any it is not used. */
  readonly strace?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What a service manager does when its main process dies: the children that are left die, too. */
  readonly killOrphans?: boolean;
  /** It may hang, and is killed then: Node's own signals are writes, too, which can be told to fail. */
  readonly mayHang?: boolean;
}

export interface DriverEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly told: Told | null;
  /** What strace wrote. */
  readonly trace: string;
  /** The end of what it wrote to standard error. */
  readonly errors: string;
  /** Waits until no process is left that it started. */
  readonly orphansGone: () => Promise<void>;
}

const DEADLINE_MS = 60_000;
const HANGS_MS = 20_000;
const ORPHANS_MS = 20_000;

export async function runDriver(
  place: DriverPlace,
  args: readonly string[],
  { strace = [], environment = {}, killOrphans = false, mayHang = false }: DriverOptions = {},
): Promise<DriverEnd> {
  const node = [process.execPath, place.program, ...args];
  const log = `${place.intentFile}.trace`;
  const [program = '', ...rest] = strace.length === 0 ? node : ['strace', '-o', log, ...strace, '--', ...node];
  const child = spawn(program, rest, {
    env: { ...place.environment, ...environment, ...(strace.length === 0 ? {} : { REFLOAT_TORTURE_FAULT: '1' }) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, to see and end what it leaves behind.
    detached: true,
  });
  const group = child.pid ?? 0;
  let [stdout, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4096);
  });
  let isLate = false;
  const late = setTimeout(
    () => {
      isLate = true;
      signalGroup(group, 'SIGKILL');
    },
    mayHang ? HANGS_MS : DEADLINE_MS,
  );
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  clearTimeout(late);
  if (killOrphans) signalGroup(group, 'SIGKILL');
  if (isLate && !mayHang) throw new Error(`the agent did not end within ${DEADLINE_MS / 1000} s: ${errors}`);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  return {
    code,
    signal,
    told: line.startsWith('{"intents"') ? (JSON.parse(line) as Told) : null,
    trace: strace.length === 0 || strace.includes('-ff') ? '' : readFileSync(log, 'latin1'),
    errors,
    orphansGone: async () => {
      for (const deadline = performance.now() + ORPHANS_MS; signalGroup(group, 0); await delay(2)) {
        if (performance.now() < deadline) continue;
        signalGroup(group, 'SIGKILL');
        throw new Error('a process that the agent started did not end with it');
      }
    },
  };
}

/** False if there is no such group. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
