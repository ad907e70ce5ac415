/** Hooks of a capture: a command inside a container of the workload, for example `CHECKPOINT` or `pg_dump`. */
import { RefloatError } from '../../db/errors.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { AgentDeps } from '../deps.ts';

const HOOK_LIMIT_MS = 10 * 60_000;
/** The end of what a failed hook wrote, in the error. */
const OUTPUT_SHOWN = 2000;

/** The running container that was started last; null if none runs. */
export function newestRunning(containers: readonly QuiescedContainer[]): QuiescedContainer | null {
  const running = containers.filter((container) => container.state === 'running');
  running.sort((a, b) => Date.parse(b.startedAt ?? '') - Date.parse(a.startedAt ?? ''));
  return running[0] ?? null;
}

/** @throws RefloatError `HOOK_FAILED` when the command ends with another status than 0; the engine's codes */
export async function runHook(
  deps: AgentDeps,
  which: 'beforeCapture' | 'afterCapture',
  container: { readonly id: string; readonly name: string },
  command: readonly string[],
): Promise<void> {
  const { exitCode, output } = await deps.engine.exec(container.id, command, HOOK_LIMIT_MS);
  if (exitCode === 0) return;
  throw new RefloatError(
    'HOOK_FAILED',
    `the hook ${which} ended with status ${exitCode} in container "${container.name}"`,
    {
      hint: 'Run the command by hand with "docker exec", and correct the hook or the container.',
      disposition: 'fail',
      details: { hook: which, container: container.name, exitCode, output: output.slice(-OUTPUT_SHOWN) },
    },
  );
}
