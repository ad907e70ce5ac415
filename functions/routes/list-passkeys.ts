import { z } from 'zod';
import { listPasskeys as query } from '../../db/queries/list-passkeys.ts';
import { endpoint } from '../endpoint.ts';
import { PASSKEY, passkeyAnswer } from '../wire-people.ts';

export const listPasskeys = endpoint(
  {
    method: 'get',
    path: '/api/passkeys',
    name: 'listPasskeys',
    summary: 'Your passkeys, oldest first',
    access: 'person',
    answers: { 200: { description: 'The passkeys', schema: z.object({ passkeys: z.array(PASSKEY) }) } },
  },
  async ({ c, principal }) => {
    const rows = await query(c.get('db'), principal.personId);
    return c.json({ passkeys: rows.map(passkeyAnswer) });
  },
);
