/** Health: healthy by their own check, or running without a restart for the grace period. Input: the started containers. A failure unwinds. */
import { waitHealthy } from '../../deploy/health.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step } from '../saga.ts';

export const health: Step<RestoreFacts, 'health'> = {
  name: 'health',

  async act({ deps, intent, fact, signal }) {
    await waitHealthy(deps.engine, fact('redeploy').started, intent.workload.config.health, signal);
    return {};
  },
};
