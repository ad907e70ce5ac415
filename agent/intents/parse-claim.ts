/** From the row that a claim returned to an intent that the host may work on. The agent does not trust the database. */
import { RefloatError } from '../../db/errors.ts';
import type { ClaimedRow } from '../../db/queries/claim-intent.ts';
import { WORKLOAD_CONFIG } from '../../db/workload.ts';
import type { ClaimedIntent } from './claimed-intent.ts';

/** @throws RefloatError `VALIDATION_FAILED` when the workload's configuration is not one that this agent understands */
export function parseClaim(row: ClaimedRow): ClaimedIntent {
  const config = WORKLOAD_CONFIG.safeParse(row.config);
  if (!config.success) {
    const issue = config.error.issues[0];
    throw new RefloatError(
      'VALIDATION_FAILED',
      `the workload's configuration is not valid: ${issue?.path.join('.')}: ${issue?.message}`,
      {
        hint: 'Save the workload again with this version of the control plane, or update the agent of this host.',
        details: { workloadId: row.workloadId },
      },
    );
  }
  return {
    id: row.id,
    kind: row.kind,
    leaseEpoch: row.leaseEpoch,
    workload: { id: row.workloadId, version: row.workloadVersion, config: config.data },
    snapshot: row.snapshot,
    undoOf: row.undoOf === null ? null : { intentId: row.undoOf, preRestoreSnapshot: row.preRestoreSnapshot },
    params: row.params,
    requestedBy: row.requestedBy,
  };
}
