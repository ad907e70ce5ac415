import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { renamePasskey } from '../../db/queries/rename-passkey.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { NAME, PASSKEY, PASSKEY_ID, passkeyAnswer } from '../wire-people.ts';

export const putPasskey = endpoint(
  {
    method: 'put',
    path: '/api/passkeys/{id}',
    name: 'putPasskey',
    summary: 'Gives one of your passkeys another name',
    access: 'person',
    params: { id: PASSKEY_ID },
    body: z.strictObject({ name: NAME }),
    answers: { 200: { description: 'Renamed', schema: PASSKEY }, 404: { description: 'No such passkey of yours' } },
  },
  async ({ c, principal, params, body }) => {
    const { name } = await body();
    return runOnce(c, async (db) => {
      const row = await renamePasskey(db, params.id, principal.personId, name);
      if (row === null)
        return new RefloatError('PASSKEY_NOT_FOUND', 'you have no such passkey', {
          hint: 'GET /api/passkeys lists them.',
        });
      return { status: 200, body: passkeyAnswer(row), target: `passkey:${row.id}`, details: { name } };
    });
  },
);
