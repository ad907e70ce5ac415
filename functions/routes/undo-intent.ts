import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findNewestSwap } from '../../db/queries/find-newest-swap.ts';
import { findPreRestoreSnapshot } from '../../db/queries/find-pre-restore-snapshot.ts';
import type { IntentRow } from '../../db/queries/insert-intent.ts';
import { confirmationOf, intentFor, requireCapturable, requireConfirmed, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { CONFIRM_ANSWERS, CONFIRM_HEADER, IDEMPOTENCY_HEADER, INTENT_ANSWERS, INTENT_BODY } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

/** Takes back the last restore or undo of a workload: what was put aside becomes live again. */
export const undoIntent = endpoint(
  {
    method: 'post',
    path: '/api/intents/{id}/undo',
    name: 'undoIntent',
    summary: 'Takes a restore, or an undo, back',
    access: 'restores:create',
    fresh: true,
    params: { id: z.uuid() },
    headers: { ...CONFIRM_HEADER, ...IDEMPOTENCY_HEADER },
    body: INTENT_BODY,
    answers: {
      ...INTENT_ANSWERS,
      ...CONFIRM_ANSWERS,
      409: { description: 'Not undoable, or an intent is under way (intentId)' },
    },
  },
  async ({ c, deps, principal, params, body }) => {
    const intent = await intentFor(c.get('db'), principal, params.id);
    const workload = await workloadFor(c.get('db'), principal, intent.workloadId);
    const confirmation = confirmationOf(c);
    const { notAfter } = await body();
    return startIntent(c, workload, { kind: 'undo', undoOf: intent.id, notAfter }, async (db) => {
      requireConfirmed(workload, confirmation);
      requireCapturable(workload);
      return refusal(db, intent, deps.now());
    });
  },
);

async function refusal(db: Queryable, intent: IntentRow, now: Date): Promise<RefloatError | undefined> {
  if (intent.kind !== 'restore' && intent.kind !== 'undo') {
    return notUndoable(intent.id, `a ${intent.kind} cannot be undone`, 'Only a restore, or an undo, can.');
  }
  if (intent.state !== 'succeeded') {
    return notUndoable(
      intent.id,
      `this ${intent.kind} is ${intent.state}`,
      'Only one that succeeded has changed the live data for good.',
    );
  }
  const newest = await findNewestSwap(db, intent.workloadId);
  if (newest !== null && newest.id !== intent.id) {
    return notUndoable(
      newest.id,
      `a later ${newest.kind} has replaced what this one put in place`,
      'Undo that one (intentId), or restore a snapshot.',
      { newestIntentId: newest.id },
    );
  }
  // The host decides again: it alone sees whether the previous tree is there.
  const { undoUntil, held: trees = [], preRestoreSnapshotId } = intent.result ?? {};
  // Trees of which no snapshot could be made are held beyond their window.
  const isOver = undoUntil !== undefined && preRestoreSnapshotId !== undefined && new Date(undoUntil) <= now;
  const held = trees.length > 0 && !isOver;
  if (held || (await findPreRestoreSnapshot(db, intent.id)) !== null) return undefined;
  return notUndoable(intent.id, 'the state before it is not kept any more', 'Restore a snapshot instead.');
}

/** @param intentId of the one that is in the way: the one to be undone, or a later one */
function notUndoable(
  intentId: string,
  message: string,
  hint: string,
  details: Record<string, unknown> = {},
): RefloatError {
  return new RefloatError('NOT_UNDOABLE', message, { hint, details: { intentId, ...details } });
}
