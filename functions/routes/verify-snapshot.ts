import { z } from 'zod';
import { requireThere, snapshotOf, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS, INTENT_BODY } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const verifySnapshot = endpoint(
  {
    method: 'post',
    path: '/api/workloads/{id}/snapshots/{sid}/verify',
    name: 'verifySnapshot',
    summary: 'Reads a snapshot on its host from beginning to end and checks digests, counts and structure',
    access: 'snapshots:read',
    params: { id: z.uuid(), sid: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    body: INTENT_BODY,
    answers: INTENT_ANSWERS,
  },
  async ({ c, principal, params, body }) => {
    const db = c.get('db');
    const workload = await workloadFor(db, principal, params.id);
    const snapshot = await snapshotOf(db, workload, params.sid);
    const { notAfter } = await body();
    return startIntent(c, workload, { kind: 'verify', snapshotId: snapshot.id, notAfter }, async () => {
      requireThere(snapshot);
    });
  },
);
