import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { isOver } from '../../db/intent-state.ts';
import { findIntent } from '../../db/queries/find-intent.ts';
import type { IntentRow } from '../../db/queries/insert-intent.ts';
import { requestCancel } from '../../db/queries/request-cancel.ts';
import { intentFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS } from '../intent-body.ts';
import { runOnce } from '../run-once.ts';
import { accepted } from '../start-intent.ts';

export const cancelIntent = endpoint(
  {
    method: 'post',
    path: '/api/intents/{id}/cancel',
    name: 'cancelIntent',
    summary: 'Stops an intent that is not past its commit point; what it did is taken back',
    access: 'restores:create',
    params: { id: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    answers: { ...INTENT_ANSWERS, 409: { description: 'Past the commit point, or over' } },
  },
  async ({ c, principal, params }) => {
    const intent = await intentFor(c.get('db'), principal, params.id);
    return runOnce(c, async (db) => {
      const cancelled = await requestCancel(db, intent.id);
      return cancelled === null ? refusal((await findIntent(db, intent.id)) ?? intent) : accepted(cancelled);
    });
  },
);

function refusal(intent: IntentRow): RefloatError {
  if (isOver(intent.state)) {
    return new RefloatError('ALREADY_FINISHED', `this ${intent.kind} is ${intent.state} already`, {
      hint:
        intent.kind === 'restore' && intent.state === 'succeeded'
          ? `Undo it: POST /api/intents/${intent.id}/undo.`
          : 'There is nothing to cancel.',
      details: { intentId: intent.id, state: intent.state },
    });
  }
  return new RefloatError('PAST_COMMIT_POINT', `this ${intent.kind} is past its commit point and will be finished`, {
    hint: `Wait until it is over, then undo it: POST /api/intents/${intent.id}/undo.`,
    details: { intentId: intent.id, state: intent.state },
  });
}
