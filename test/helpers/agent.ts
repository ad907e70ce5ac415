/**
 * `refloat-agent` as people run it: a process of its own.
 *
 * Guarantees: what a test starts here has ended when the test file ends; one that does not drain in order fails the file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { keepLog } from './canary.ts';
import { programOf } from './program.ts';

const PROGRAM = programOf('refloat-agent');

export interface AgentPlace {
  readonly stateDir: string;
  readonly volumeBase: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of standard output, parsed. */
  readonly json: Readonly<Record<string, unknown>> | null;
}

export interface RunningAgent {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves once it claims; rejects with its output if it ends before. */
  readonly ready: Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Waits until it has killed itself at the point that the environment armed; fails if it is not reached. */
  crashed(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  drain(): Promise<Ended>;
  stderr(): string;
}

/** A state directory and a volume base of its own, removed when the test, or the file at whose top it is called, ends. Not for hooks. */
export async function agentPlace(env: Readonly<Record<string, string>> = {}): Promise<AgentPlace> {
  const directory = mkdtempSync(join(tmpdir(), 'rfa-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const stateDir = join(directory, 'state');
  const volumeBase = join(directory, 'volumes');
  await mkdir(volumeBase);
  return {
    stateDir,
    volumeBase,
    env: { REFLOAT_STATE_DIR: stateDir, REFLOAT_VOLUME_BASE: volumeBase, REFLOAT_LOG: 'debug', ...env },
  };
}

const DRAIN_MS = 30_000;
const CRASH_MS = 60_000;
const started = new Map<ChildProcess, Promise<Ended>>();
// Runs before the hooks of the helpers for Postgres and Docker, which are registered later.
after(async () => {
  const problems: string[] = [];
  for (const [child, ended] of started) {
    child.kill('SIGTERM');
    const late = setTimeout(() => {
      problems.push(`the agent ${child.pid} did not end`);
      child.kill('SIGKILL');
    }, DRAIN_MS);
    const { code, signal, stderr } = await ended;
    clearTimeout(late);
    if (code !== 0 && signal !== 'SIGKILL')
      problems.push(`the agent ${child.pid} ended with ${signal ?? code}: ${stderr.slice(-2000)}`);
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
});

/** Starts any command of `refloat-agent`. */
export function startAgentCommand(args: readonly string[], env: Readonly<Record<string, string>>): RunningAgent {
  const child = spawn(process.execPath, [...PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', TMPDIR: tmpdir(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  let isReady = (): void => undefined;
  let isNotReady = (_error: Error): void => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    isReady = resolve;
    isNotReady = reject;
  });
  ready.catch(() => undefined);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stdout.includes('"ready":true')) isReady();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    keepLog('refloat-agent', text);
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      started.delete(child);
      isNotReady(new Error(`refloat-agent ${args.join(' ')} ended with ${signal ?? code}\n${stdout}${stderr}`));
      resolve({ code, signal, stdout, stderr, json: lastJson(stdout) });
    });
  });
  started.set(child, ended);
  return {
    pid: child.pid ?? 0,
    ended,
    ready,
    kill: (signal) => void child.kill(signal),
    crashed: async () => {
      const late = AbortSignal.timeout(CRASH_MS);
      const never = new Promise<never>((_, reject) =>
        late.addEventListener('abort', () => reject(new Error(`not crashed within ${CRASH_MS} ms\n${stderr}`))),
      );
      const how = (await Promise.race([ended, never])).signal;
      if (how !== 'SIGKILL') throw new Error(`ended by ${how}, not at the crash point\n${stderr}`);
    },
    drain: async () => {
      child.kill('SIGTERM');
      return ended;
    },
    stderr: () => stderr,
  };
}

/** `refloat-agent run --json`, once it claims. */
export async function startAgent(env: Readonly<Record<string, string>>): Promise<RunningAgent> {
  const agent = startAgentCommand(['run', '--json'], env);
  await agent.ready;
  return agent;
}

/** Runs a command to its end. */
export async function agentCommand(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return startAgentCommand(args, env).ended;
}

function lastJson(stdout: string): Readonly<Record<string, unknown>> | null {
  const line = stdout.trimEnd().split('\n').at(-1);
  if (line === undefined || !line.startsWith('{')) return null;
  return JSON.parse(line) as Readonly<Record<string, unknown>>;
}
