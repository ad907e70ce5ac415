import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { deletePasskey as query } from '../../db/queries/delete-passkey.ts';
import { listPasskeys } from '../../db/queries/list-passkeys.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { PASSKEY_ID } from '../wire-people.ts';

export const deletePasskey = endpoint(
  {
    method: 'delete',
    path: '/api/passkeys/{id}',
    name: 'deletePasskey',
    summary: 'Removes one of your passkeys; the last one only if you say so',
    access: 'person',
    fresh: true,
    params: { id: PASSKEY_ID },
    query: { last: z.enum(['true', 'false']).default('false').describe('`true`: also if it is the last one') },
    answers: {
      204: { description: 'Removed' },
      404: { description: 'No such passkey of yours' },
      409: { description: 'It is the last one, and `last` is not `true`' },
    },
  },
  async ({ c, principal, params, query: { last } }) =>
    runOnce(c, async (db) => {
      const passkeys = await listPasskeys(db, principal.personId);
      if (last === 'false' && passkeys.length === 1 && passkeys[0]?.id === params.id) {
        return new RefloatError('LAST_PASSKEY', 'this is your last passkey', {
          hint: 'Without it you sign in with a new link only. Add another one first, or ask again with ?last=true.',
        });
      }
      const row = await query(db, params.id, principal.personId);
      if (row === null)
        return new RefloatError('PASSKEY_NOT_FOUND', 'you have no such passkey', {
          hint: 'GET /api/passkeys lists them.',
        });
      return { status: 204, target: `passkey:${row.id}`, details: { name: row.name } };
    }),
);
