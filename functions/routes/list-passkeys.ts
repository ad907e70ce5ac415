import { z } from 'zod';
import { listPasskeys as query } from '../../db/queries/list-passkeys.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { PASSKEY, passkeyAnswer } from '../wire-people.ts';

export const listPasskeys = endpoint(
  {
    method: 'get',
    path: '/api/passkeys',
    name: 'listPasskeys',
    summary: 'Your passkeys, oldest first',
    access: 'person',
    query: PAGE_QUERY,
    answers: { 200: { description: 'The passkeys', schema: z.object({ passkeys: z.array(PASSKEY), next: NEXT }) } },
  },
  async ({ c, principal, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), principal.personId, seekOf({ cursor, limit }, { key: 'moment', id: 'text' }));
    const { page, next } = pageOf(rows, limit, (row) => [row.key, row.id]);
    return c.json({ passkeys: page.map(passkeyAnswer), next });
  },
);
