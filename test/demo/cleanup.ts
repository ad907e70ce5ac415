/**
 * What the demo started, taken back in reverse order: when it is over, when it fails, and on Ctrl-C.
 *
 * Guarantees: every step is tried, whatever the ones before it do; the process ends only after the last one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export class Cleanup {
  readonly #steps: { readonly what: string; readonly undo: () => Promise<unknown> | unknown }[] = [];
  readonly #interrupt = new AbortController();
  #running: Promise<string[]> | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => this.#interrupt.abort(new Interrupted(signal)));
    }
  }

  /** Aborted by Ctrl-C. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  add(what: string, undo: () => Promise<unknown> | unknown): void {
    this.#steps.push({ what, undo });
  }

  /** What could not be taken back, in words. */
  run(): Promise<string[]> {
    this.#running ??= this.#undoAll();
    return this.#running;
  }

  async #undoAll(): Promise<string[]> {
    const failed: string[] = [];
    for (const { what, undo } of this.#steps.reverse()) {
      try {
        await undo();
      } catch (error) {
        failed.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return failed;
  }
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  constructor(signal: string) {
    super(`interrupted by ${signal}`);
  }
}

/** How long a program may take to end after SIGTERM before it is killed, in ms. */
const END_MS = 60_000;

export interface Program {
  readonly child: ChildProcess;
  /** The end of what it wrote to standard error, for a failure's report. */
  readonly errors: () => string;
  stop(): Promise<void>;
}

/**
 * A program in a process group of its own, so that Ctrl-C at the terminal reaches only the demo, which ends it in order.
 * @param what its name in messages
 */
export function startProgram(what: string, args: readonly string[], env: NodeJS.ProcessEnv): Program {
  const child = spawn(process.execPath, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-8000);
  });
  const ended = once(child, 'exit');
  ended.catch(() => undefined);
  return {
    child,
    errors: () => `${what} said:\n${errors.trim().split('\n').slice(-12).join('\n')}`,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Runs a program to its end and gives its standard output; throws with what it said when it fails. */
export async function runProgram(what: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const program = startProgram(what, args, env);
  let output = '';
  program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const [code] = (await once(program.child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${what} ended with ${code}\n${output}\n${program.errors()}`);
  return output;
}

/** The first line of JSON that a program writes when it is ready. */
export function firstJsonLine<T>(what: string, program: Program, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    let text = '';
    program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) return;
      try {
        resolve(JSON.parse(text.slice(0, end)) as T);
      } catch {
        reject(new Error(`${what} wrote: ${text.slice(0, end)}`));
      }
    });
    program.child.once('exit', (code) =>
      reject(new Error(`${what} ended with ${code} before it was ready\n${program.errors()}`)),
    );
    program.child.once('error', reject);
  });
}
