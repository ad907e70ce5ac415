/**
 * The agent, on one screen: config → host lock → recovery → claim loop → drain.
 *
 * Guarantees: nothing is claimed before recovery has ended; the first SIGTERM or SIGINT ends the claiming and lets what runs
 * come to its end; a second one takes back what still can be taken back.
 */
import { randomUUID } from 'node:crypto';
import { RefloatError } from '../db/errors.ts';
import { onStopSignals } from '../db/stop-signals.ts';
import { AgentDatabase } from './claim/agent-database.ts';
import { takeHostLock } from './claim/host-lock.ts';
import { type AgentSession, openSession } from './claim/session.ts';
import { compose } from './compose.ts';
import type { AgentConfig } from './config.ts';
import { recoverHost } from './recover-host.ts';

export interface RunOptions {
  readonly config: AgentConfig;
  /** Called once the agent claims. */
  readonly onReady: (facts: { readonly hostId: string; readonly instance: string; readonly pid: number }) => void;
}

/**
 * Runs until it is told to stop. Returns the signal that ended it.
 * @throws RefloatError `NOT_ENROLLED`, `AGENT_RUNNING`, `ENGINE_UNAVAILABLE`, `FILE_SYSTEM_FAILED`
 */
export async function runAgent({ config, onReady }: RunOptions): Promise<NodeJS.Signals | 'replaced'> {
  if (config.databaseUrl === undefined) throw notEnrolled();
  const instance = randomUUID();
  const lock = takeHostLock(config.stateDir, instance);
  const stop = new AbortController();
  const signals = onSignals(stop);
  let session: AgentSession | null = null;
  const database = new AgentDatabase(config.databaseUrl);
  try {
    const deps = compose(config);
    await deps.engine.ping();
    await recoverHost(deps);
    session = await openSession({ deps, database, databaseUrl: config.databaseUrl, instance, stop: stop.signal });
    signals.second(() => session?.interrupt());
    onReady({ hostId: session.hostId, instance, pid: process.pid });
    await session.run();
    return signals.first() ?? 'replaced';
  } catch (thrown) {
    const first = signals.first();
    if (first !== null && stop.signal.aborted && thrown === stop.signal.reason) return first;
    throw thrown;
  } finally {
    await session?.close();
    await database.close();
    signals.off();
    lock.release();
  }
}

function onSignals(stop: AbortController) {
  let first: NodeJS.Signals | null = null;
  let onSecond = (): void => undefined;
  const heard = (signal: NodeJS.Signals): void => {
    if (first !== null) {
      onSecond();
      return;
    }
    first = signal;
    stop.abort(
      new RefloatError('INTERRUPTED', `ended by ${signal}`, {
        hint: 'Start it again with "refloat-agent run".',
        disposition: 'fail',
      }),
    );
  };
  const off = onStopSignals(['SIGTERM', 'SIGINT'], heard);
  return {
    first: () => first,
    second: (work: () => void) => {
      onSecond = work;
    },
    off,
  };
}

function notEnrolled(): RefloatError {
  return new RefloatError('NOT_ENROLLED', 'this host is not enrolled: there is no database to take intents from', {
    hint: 'Ask an admin for an enrollment token, then run "refloat-agent enroll --api URL --token T".',
  });
}
