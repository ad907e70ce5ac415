/**
 * `refloat-agent recover`: recovery alone, without the control plane. Its results are spooled and reach Postgres when the agent
 * runs next.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { takeHostLock } from '../claim/host-lock.ts';
import { compose } from '../compose.ts';
import { type AgentConfig, loadConfig } from '../config.ts';
import { type RecoveredHost, recoverHost } from '../recover-host.ts';
import { type CommandContext, type CommandResult, EXIT, type ExitCode } from './command.ts';

/** @throws RefloatError `CONFIG_INVALID`, `AGENT_RUNNING`, and the engine's codes */
export async function recoverCommand({ env }: CommandContext): Promise<CommandResult> {
  const config = await loadConfig(env);
  const lock = takeHostLock(config.stateDir, randomUUID());
  try {
    const recovered = await recoverHost(compose({ ...config, dockerHost: await dockerHostOf(config) }));
    const exitCode = exitCodeOfRecovery(recovered);
    return {
      json: {
        intents: recovered.intents.map(({ intentId, kind, workload, outcome, error }) => ({
          intentId,
          kind,
          workload,
          state: outcome?.state ?? 'stuck',
          result: outcome?.result ?? null,
          error: outcome?.error ?? error,
        })),
        deploys: recovered.repaired.map(({ workloadId, error }) => ({
          workloadId,
          ok: error === null,
          error: error?.toJSON() ?? null,
        })),
      },
      lines: describe(recovered),
      exitCode,
      ...(exitCode === EXIT.done ? {} : { error: summary(exitCode) }),
    };
  } finally {
    lock.release();
  }
}

/** A private engine of this host is started, and goes on running: what recovery starts in it must not end with recovery. */
export async function dockerHostOf(config: AgentConfig): Promise<string | undefined> {
  const directory = join(config.stateDir, 'engine');
  const { ensureEngine, hasPrivateEngine } = await import('../docker/private-engine.ts');
  if (config.dockerHost !== undefined || !hasPrivateEngine(directory)) return config.dockerHost;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  return (await ensureEngine({ dockerHost: undefined, install: false, directory, say })).dockerHost;
}

function exitCodeOfRecovery({ intents, repaired }: RecoveredHost): ExitCode {
  const states = intents.map(({ outcome }) => outcome?.state ?? 'stuck');
  if (states.includes('stuck') || repaired.some(({ error }) => error !== null)) return EXIT.stuck;
  return states.every((state) => state === 'succeeded') ? EXIT.done : EXIT.unwound;
}

function summary(exitCode: ExitCode): RefloatError {
  return exitCode === EXIT.stuck
    ? new RefloatError('WORKLOAD_STUCK', 'something could neither be finished nor taken back', {
        hint: 'Nothing was deleted. Mend what is named, then run "refloat-agent recover" again; or put the data right and keep it with "refloat-agent resolve INTENT --keep".',
        disposition: 'stuck',
      })
    : new RefloatError('INTERRUPTED', 'what had been interrupted was taken back', {
        hint: 'The workloads are as they were before. Start it again if you still want it.',
        disposition: 'fail',
      });
}

function describe({ intents, repaired }: RecoveredHost): string[] {
  if (intents.length === 0 && repaired.length === 0) return ['Nothing was unfinished.'];
  return [
    ...intents.flatMap(({ intentId, kind, workload, outcome, error }) => {
      const state = outcome?.state ?? 'stuck';
      const why = outcome?.error ?? error;
      const line = `${kind ?? 'intent'} of ${workload ?? 'an unknown workload'}: ${state} (${intentId})`;
      return why === null || why === undefined ? [line] : [line, `  ${why.code}: ${why.message}`, `  ${why.hint}`];
    }),
    ...repaired.map(({ workloadId, error }) =>
      error === null
        ? `deploy of workload ${workloadId}: put right`
        : `deploy of workload ${workloadId}: ${error.message}`,
    ),
  ];
}
