import { z } from 'zod';
import { listIssuers as query } from '../../db/queries/list-issuers.ts';
import { endpoint } from '../endpoint.ts';
import { ISSUER, issuerAnswer } from '../wire.ts';

export const listIssuers = endpoint(
  {
    method: 'get',
    path: '/api/issuers',
    name: 'listIssuers',
    summary: 'The issuers whose tokens are accepted, by name',
    access: 'tokens:write',
    answers: { 200: { description: 'The issuers', schema: z.object({ issuers: z.array(ISSUER) }) } },
  },
  async ({ c }) => c.json({ issuers: (await query(c.get('db'))).map(issuerAnswer) }),
);
