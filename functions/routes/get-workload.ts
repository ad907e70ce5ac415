import { z } from 'zod';
import { listContainers } from '../../db/queries/list-containers.ts';
import { workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { WORKLOAD, workloadAnswer } from '../wire.ts';

export const getWorkload = endpoint(
  {
    method: 'get',
    path: '/api/workloads/{id}',
    name: 'getWorkload',
    summary: 'A workload; its version is the ETag',
    access: 'workloads:read',
    params: { id: z.uuid() },
    answers: { 200: { description: 'The workload', schema: WORKLOAD }, 404: { description: 'No such workload' } },
  },
  async ({ c, principal, params }) => {
    const row = await workloadFor(c.get('db'), principal, params.id);
    c.header('etag', `"${row.version}"`);
    return c.json(workloadAnswer(row, await listContainers(c.get('db'), [row])));
  },
);
