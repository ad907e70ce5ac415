import { z } from 'zod';
import { listHosts as query } from '../../db/queries/list-hosts.ts';
import { listWorkloads } from '../../db/queries/list-workloads.ts';
import { limitOf } from '../auth/principal.ts';
import { endpoint } from '../endpoint.ts';
import { HOST, hostAnswer } from '../wire.ts';

/** Who is limited to workloads or projects sees their hosts. */
export const listHosts = endpoint(
  {
    method: 'get',
    path: '/api/hosts',
    name: 'listHosts',
    summary: 'All hosts, by name',
    access: 'hosts:read',
    answers: { 200: { description: 'The hosts', schema: z.object({ hosts: z.array(HOST) }) } },
  },
  async ({ c, principal }) => {
    const rows = await query(c.get('db'));
    const seen =
      principal.workloads === null && principal.projects === null
        ? undefined
        : new Set((await listWorkloads(c.get('db'), limitOf(principal))).map((workload) => workload.hostId));
    return c.json({ hosts: rows.filter((row) => seen === undefined || seen.has(row.id)).map(hostAnswer) });
  },
);
