/** Intents and workloads for tests of the agent, complete and valid. */

import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { newId } from '../../db/ids.ts';
import type { IntentKind } from '../../db/intent-state.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';

export function claimedIntent(
  kind: IntentKind = 'restore',
  config: Partial<WorkloadConfigInput> = {},
  more: Partial<ClaimedIntent> = {},
): ClaimedIntent {
  return {
    id: newId(),
    kind,
    leaseEpoch: 1,
    workload: {
      id: newId(),
      version: 1,
      config: WORKLOAD_CONFIG.parse({
        name: 'shop-db',
        project: 'shop',
        hostId: newId(),
        image: 'postgres:17',
        ...config,
      }),
    },
    snapshot: null,
    undoOf: null,
    params: {},
    ...more,
  };
}
