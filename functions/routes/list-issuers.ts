import { z } from 'zod';
import { listIssuers as query } from '../../db/queries/list-issuers.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { ISSUER, issuerAnswer } from '../wire.ts';

export const listIssuers = endpoint(
  {
    method: 'get',
    path: '/api/issuers',
    name: 'listIssuers',
    summary: 'The issuers whose tokens are accepted, by name',
    access: 'tokens:write',
    query: PAGE_QUERY,
    answers: { 200: { description: 'The issuers', schema: z.object({ issuers: z.array(ISSUER), next: NEXT }) } },
  },
  async ({ c, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), seekOf({ cursor, limit }, { key: 'text', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, (row) => [row.name, row.id]);
    return c.json({ issuers: page.map(issuerAnswer), next });
  },
);
