/**
 * From the row that a claim returned to an intent that the host may work on. The agent does not trust the database: whoever
 * owns it can write anything, and every member of what this returns has the form that the rest of the agent relies on.
 */
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { IMPORT_PARAMS } from '../../db/import-params.ts';
import { INTENT_KINDS } from '../../db/intent-state.ts';
import type { ClaimedRow } from '../../db/queries/claim-intent.ts';
import type { IntentParams } from '../../db/schema/intents.ts';
import { isImageReference, WORKLOAD_CONFIG } from '../../db/workload.ts';
import type { ClaimedIntent } from './claimed-intent.ts';

/** In small letters: ids become file names. */
const ID = z.uuid().toLowerCase();
const COUNT = z.int().min(0);

const SNAPSHOT = z.object({
  id: ID,
  workloadId: ID,
  kind: z.enum(['capture', 'pre-restore', 'imported']),
  manifestSha256: z.string().regex(/^[0-9a-f]{64}$/),
  protectedUntil: z.string().max(64).nullable().default(null),
});

const PARAMS = z.strictObject({
  reference: z.string().max(512).refine(isImageReference, 'must be an image reference').optional(),
});

const CLAIM = z.object({
  id: ID,
  kind: z.enum(INTENT_KINDS),
  leaseEpoch: COUNT,
  workloadId: ID,
  workloadVersion: COUNT,
  config: WORKLOAD_CONFIG,
  params: z.unknown(),
  snapshotId: ID.nullable(),
  snapshot: SNAPSHOT.nullable(),
  undoOf: ID.nullable(),
  preRestoreSnapshot: SNAPSHOT.nullable(),
  requestedBy: z.string().max(2048),
});

/** @throws RefloatError `VALIDATION_FAILED` when the row is not an intent that this agent understands, or for another host */
export function parseClaim(row: ClaimedRow, hostId: string): ClaimedIntent {
  const parsed = CLAIM.safeParse(row);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw notUnderstood(
      row,
      `${where.replace(/^config\.?/, "the workload's configuration ").trim()}: ${issue?.message}`,
    );
  }
  const { params, undoOf, preRestoreSnapshot, ...claim } = parsed.data;
  if (claim.config.hostId.toLowerCase() !== hostId.toLowerCase())
    throw notUnderstood(row, "the workload is another host's");
  return {
    id: claim.id,
    kind: claim.kind,
    leaseEpoch: claim.leaseEpoch,
    workload: { id: claim.workloadId, version: claim.workloadVersion, config: claim.config },
    snapshot: claim.snapshot,
    undoOf: undoOf === null ? null : { intentId: undoOf, preRestoreSnapshot },
    params: paramsOf(row, claim.kind, params),
    requestedBy: claim.requestedBy,
  };
}

function paramsOf(row: ClaimedRow, kind: ClaimedIntent['kind'], params: unknown): IntentParams {
  const parsed = (kind === 'import' ? IMPORT_PARAMS : PARAMS).safeParse(params);
  if (!parsed.success) throw notUnderstood(row, `params ${parsed.error.issues[0]?.message}`);
  // Through JSON: members that are undefined are not there.
  return JSON.parse(JSON.stringify(parsed.data)) as IntentParams;
}

function notUnderstood(row: ClaimedRow, what: string): RefloatError {
  return new RefloatError('VALIDATION_FAILED', `the intent cannot be worked on: ${what}`, {
    hint: 'Save the workload again with this version of the control plane, or update the agent of this host.',
    details: { workloadId: String(row.workloadId).slice(0, 64) },
  });
}
