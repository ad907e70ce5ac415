import { z } from 'zod';
import { isImageReference } from '../../db/workload.ts';
import { requireImageSource, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS, NOT_AFTER } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const deployWorkload = endpoint(
  {
    method: 'post',
    path: '/api/workloads/{id}/deploy',
    name: 'deployWorkload',
    summary: 'Brings the containers of a workload to its configuration',
    access: 'workloads:deploy',
    params: { id: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    body: z.strictObject({
      reference: z
        .string()
        .min(1, { abort: true })
        .max(512)
        .refine(isImageReference, 'must be an image reference')
        .optional()
        .describe('An image that replaces the configured one for this deploy'),
      notAfter: NOT_AFTER,
    }),
    answers: INTENT_ANSWERS,
  },
  async ({ c, principal, params, body }) => {
    const workload = await workloadFor(c.get('db'), principal, params.id);
    const { reference, notAfter } = await body();
    const asked = reference === undefined ? {} : { reference };
    return startIntent(c, workload, { kind: 'deploy', params: asked, notAfter }, async () => {
      requireImageSource(workload);
    });
  },
);
