import { z } from 'zod';
import { listContainers } from '../../db/queries/list-containers.ts';
import { listWorkloads as query } from '../../db/queries/list-workloads.ts';
import { limitOf } from '../auth/principal.ts';
import { endpoint } from '../endpoint.ts';
import { WORKLOAD, workloadAnswer } from '../wire.ts';

export const listWorkloads = endpoint(
  {
    method: 'get',
    path: '/api/workloads',
    name: 'listWorkloads',
    summary: 'All workloads that the token is for, by name',
    access: 'workloads:read',
    answers: { 200: { description: 'The workloads', schema: z.object({ workloads: z.array(WORKLOAD) }) } },
  },
  async ({ c, principal }) => {
    const db = c.get('db');
    const rows = await query(db, limitOf(principal));
    const containers = await listContainers(
      db,
      rows.map((row) => row.id),
    );
    return c.json({ workloads: rows.map((row) => workloadAnswer(row, containers)) });
  },
);
