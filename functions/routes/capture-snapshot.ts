import { z } from 'zod';
import { requireCapturable, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS, INTENT_BODY } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const captureSnapshot = endpoint(
  {
    method: 'post',
    path: '/api/workloads/{id}/snapshots',
    name: 'captureSnapshot',
    summary: 'Takes a snapshot of all volumes of a workload',
    access: 'snapshots:capture',
    params: { id: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    body: INTENT_BODY,
    answers: INTENT_ANSWERS,
  },
  async ({ c, principal, params, body }) => {
    const workload = await workloadFor(c.get('db'), principal, params.id);
    const { notAfter } = await body();
    return startIntent(c, workload, { kind: 'capture', notAfter }, async () => {
      requireCapturable(workload);
    });
  },
);
