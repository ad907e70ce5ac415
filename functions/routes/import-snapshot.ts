import { z } from 'zod';
import { IMPORT_PARAMS } from '../../db/import-params.ts';
import { requireCapturable, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS, NOT_AFTER } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const importSnapshot = endpoint(
  {
    method: 'post',
    path: '/api/workloads/{id}/imports',
    name: 'importSnapshot',
    summary: "Makes a snapshot of archives of other tools that lie in the host's own import directory",
    access: 'snapshots:capture',
    params: { id: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    body: IMPORT_PARAMS.extend({ notAfter: NOT_AFTER }),
    answers: INTENT_ANSWERS,
  },
  async ({ c, principal, params, body }) => {
    const workload = await workloadFor(c.get('db'), principal, params.id);
    const { notAfter, ...asked } = await body();
    return startIntent(c, workload, { kind: 'import', params: asked, notAfter }, async () => {
      requireCapturable(workload);
    });
  },
);
