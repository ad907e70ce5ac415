/**
 * The agent that `refloat up` runs beside itself: the same program as on any other host, in a process of its own.
 *
 * Guarantees: it gets no secret of the control plane; it is started again, with growing pauses, when it ends by itself; an
 * agent that a killed `refloat up` left behind is stopped first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type ErrorJson, RefloatError } from '../../db/errors.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** An agent that ran this long was well: the pauses begin anew. */
const WELL_AFTER_MS = 60_000;
const ORPHAN_TIMEOUT_MS = 120_000;
/** Standard output is for what `refloat up` says; no pipe of ours, so that the agent outlives us unharmed. */
const STDERR = 2;

export interface AgentProcessOptions {
  /** State directory of the agent itself. */
  readonly stateDir: string;
  readonly apiUrl: string;
  readonly log: Logger;
}

export interface AgentProcess {
  /** Lets it finish what runs; called again, it is told to hurry. */
  stop(): Promise<void>;
}

/** Gives the agent a credential of its own with a one-time token. Throws what `refloat-agent enroll` said. */
export async function enrollAgent({ stateDir, apiUrl }: AgentProcessOptions, token: string): Promise<void> {
  await stopOrphan(stateDir);
  const { command, args } = agentProgram();
  // Where no engine answers, it asks the person at this terminal before it installs one; hence our standard input.
  const enroll = ['enroll', '--install-engine', '--api', apiUrl, '--token', token, '--json'];
  const child = spawn(command, [...args, ...enroll], {
    env: agentEnv(stateDir),
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  const error = errorIn(output);
  if (error?.code === 'ENGINE_UNAVAILABLE') throw RefloatError.fromJSON(error);
  throw new RefloatError('NOT_ENROLLED', `the agent of this machine could not be enrolled: ${reason(output)}`, {
    hint: 'Start with --no-agent to run the control plane alone.',
    disposition: 'fail',
  });
}

export function startAgent(options: AgentProcessOptions): AgentProcess {
  const supervisor = new Supervisor(options);
  return { stop: () => supervisor.stop() };
}

class Supervisor {
  readonly #options: AgentProcessOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #child: ChildProcess | undefined;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill('SIGTERM');
    await this.#done;
  }

  async #run(): Promise<void> {
    const { stateDir, log } = this.#options;
    for (let pauseMs = FIRST_PAUSE_MS; !this.#stopping.signal.aborted; ) {
      const begin = Date.now();
      const { command, args } = agentProgram();
      // Its own process group: an interrupt typed at the terminal is for us, and we stop it in order.
      const child = spawn(command, [...args, 'run', '--install-engine'], {
        env: agentEnv(stateDir),
        stdio: ['ignore', STDERR, 'inherit'],
        detached: true,
      });
      this.#child = child;
      const abandon = (): void => void child.kill('SIGTERM');
      process.once('exit', abandon);
      if (child.pid !== undefined) writePid(stateDir, child.pid);
      const [code, signal] = (await once(child, 'exit').catch(() => [null, 'spawn failed'])) as [
        number | null,
        string | null,
      ];
      process.off('exit', abandon);
      removePid(stateDir);
      if (this.#stopping.signal.aborted) return;
      if (Date.now() - begin > WELL_AFTER_MS) pauseMs = FIRST_PAUSE_MS;
      log.warn({ code, signal, pauseMs }, 'the agent ended; it is started again');
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Beside our own bundle; in development the source, through the same loader as ours. */
function agentProgram(): { command: string; args: readonly string[] } {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const bundle = path.join(here, 'refloat-agent.js');
  if (fs.existsSync(bundle)) return { command: process.execPath, args: [bundle] };
  return {
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), path.join(here, '../../agent/cli/main.ts')],
  };
}

/** What belongs to the control plane stays here: its database login, and its keys. */
function agentEnv(stateDir: string): NodeJS.ProcessEnv {
  const {
    REFLOAT_DATABASE_URL,
    REFLOAT_AGENT_DATABASE_URL,
    REFLOAT_SIGNING_KEYS,
    REFLOAT_OIDC_CLIENT_SECRET,
    REFLOAT_TOKEN,
    ...rest
  } = process.env;
  return { ...rest, REFLOAT_STATE_DIR: stateDir };
}

function pidFile(stateDir: string): string {
  return path.join(path.dirname(stateDir), 'agent.pid');
}

function writePid(stateDir: string, pid: number): void {
  fs.writeFileSync(pidFile(stateDir), JSON.stringify({ pid, started: startedAt(pid) }), { mode: 0o600 });
}

function removePid(stateDir: string): void {
  fs.rmSync(pidFile(stateDir), { force: true });
}

/** Ticks since boot at which a process began: together with its id it is never anybody else's. */
function startedAt(pid: number): string | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

async function stopOrphan(stateDir: string): Promise<void> {
  let saved: { pid: number; started?: string };
  try {
    saved = JSON.parse(fs.readFileSync(pidFile(stateDir), 'utf8')) as { pid: number; started?: string };
  } catch {
    return;
  }
  const lives = (): boolean => saved.started !== undefined && startedAt(saved.pid) === saved.started;
  if (lives()) process.kill(saved.pid, 'SIGTERM');
  for (const begin = Date.now(); lives(); await delay(50)) {
    if (Date.now() - begin > ORPHAN_TIMEOUT_MS) {
      throw new RefloatError('AGENT_RUNNING', `an earlier agent (process ${saved.pid}) still finishes its work`, {
        hint: 'Wait until it has ended, then start again.',
        disposition: 'retry',
      });
    }
  }
  removePid(stateDir);
}

function reason(output: string): string {
  const error = errorIn(output);
  if (error === undefined) return output.trim().slice(-300) || 'it said nothing';
  return `${error.message} (${error.code})`;
}

function errorIn(output: string): ErrorJson | undefined {
  try {
    return (JSON.parse(output.trim().split('\n').at(-1) ?? '') as { error?: ErrorJson }).error;
  } catch {
    return undefined;
  }
}
