import { z } from 'zod';
import { listContainers } from '../../db/queries/list-containers.ts';
import { listWorkloads as query } from '../../db/queries/list-workloads.ts';
import { limitOf } from '../auth/principal.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { WORKLOAD, workloadAnswer } from '../wire.ts';

export const listWorkloads = endpoint(
  {
    method: 'get',
    path: '/api/workloads',
    name: 'listWorkloads',
    summary: 'All workloads that the token is for, by name',
    access: 'workloads:read',
    query: PAGE_QUERY,
    answers: { 200: { description: 'The workloads', schema: z.object({ workloads: z.array(WORKLOAD), next: NEXT }) } },
  },
  async ({ c, principal, query: { cursor, limit } }) => {
    const db = c.get('db');
    const rows = await query(db, limitOf(principal), seekOf({ cursor, limit }, { key: 'text', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, (row) => [row.name, row.id]);
    const containers = await listContainers(db, page);
    return c.json({ workloads: page.map((row) => workloadAnswer(row, containers)), next });
  },
);
