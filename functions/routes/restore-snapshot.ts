import { z } from 'zod';
import {
  confirmationOf,
  requireCapturable,
  requireConfirmed,
  requireThere,
  snapshotOf,
  workloadFor,
} from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { CONFIRM_ANSWERS, CONFIRM_HEADER, IDEMPOTENCY_HEADER, INTENT_ANSWERS, INTENT_BODY } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const restoreSnapshot = endpoint(
  {
    method: 'post',
    path: '/api/workloads/{id}/snapshots/{sid}/restore',
    name: 'restoreSnapshot',
    summary: 'Puts the data of a snapshot back, in seconds of downtime, with an undo',
    access: 'restores:create',
    fresh: true,
    params: { id: z.uuid(), sid: z.uuid() },
    headers: { ...CONFIRM_HEADER, ...IDEMPOTENCY_HEADER },
    body: INTENT_BODY,
    answers: { ...INTENT_ANSWERS, ...CONFIRM_ANSWERS },
  },
  async ({ c, principal, params, body }) => {
    const db = c.get('db');
    const workload = await workloadFor(db, principal, params.id);
    const snapshot = await snapshotOf(db, workload, params.sid);
    const confirmation = confirmationOf(c);
    const { notAfter } = await body();
    return startIntent(c, workload, { kind: 'restore', snapshotId: snapshot.id, notAfter }, async () => {
      requireConfirmed(workload, confirmation);
      requireCapturable(workload);
      requireThere(snapshot);
    });
  },
);
