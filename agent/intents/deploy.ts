/** Deploy: the workload's containers become what its configuration says. */
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import { deployWorkload } from '../deploy/deploy.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import { assertNothingUnfinished } from '../restore/journal-dir.ts';
import { warnOfWait } from '../restore/sharing.ts';
import { asStep } from './as-step.ts';
import type { ClaimedIntent } from './claimed-intent.ts';

/** @throws RefloatError those of `deployWorkload`; `WORKLOAD_STUCK` while an older intent of the workload is unfinished */
export async function deployIntent(
  deps: AgentDeps,
  lock: WorkloadLock,
  intent: ClaimedIntent,
  control: IntentControl,
): Promise<Outcome> {
  // Containers must never run on half-restored data: what recovery could not finish, a deploy does not start.
  assertNothingUnfinished(deps.config.stateDir, intent.workload.id, intent.id);
  const { reference } = intent.params;
  const input = { workload: intent.workload, intentId: intent.id, ...(reference === undefined ? {} : { reference }) };
  const onWait = (names: readonly string[]) => warnOfWait(names, (message) => control.emit('warning', { message }));
  const { value, ms } = await asStep(control, 'deploy', () =>
    deployWorkload(deps, lock, input, control.signal, onWait),
  );
  const { containers, imageId, image, downtimeMs, changed } = value;
  return {
    state: 'succeeded',
    error: null,
    result: { containers, imageId, image, downtimeMs, changed, steps: [{ name: 'deploy', ms }] },
  };
}
