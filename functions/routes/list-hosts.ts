import { z } from 'zod';
import { listHosts as query } from '../../db/queries/list-hosts.ts';
import { limitOf } from '../auth/principal.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { HOST, hostAnswer } from '../wire.ts';

/** Who is limited to workloads or projects sees their hosts. */
export const listHosts = endpoint(
  {
    method: 'get',
    path: '/api/hosts',
    name: 'listHosts',
    summary: 'All hosts, by name',
    access: 'hosts:read',
    query: PAGE_QUERY,
    answers: { 200: { description: 'The hosts', schema: z.object({ hosts: z.array(HOST), next: NEXT }) } },
  },
  async ({ c, principal, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), limitOf(principal), seekOf({ cursor, limit }, { key: 'text', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, (row) => [row.name, row.id]);
    return c.json({ hosts: page.map(hostAnswer), next });
  },
);
