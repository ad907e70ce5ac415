import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { deleteIssuer as query } from '../../db/queries/delete-issuer.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const deleteIssuer = endpoint(
  {
    method: 'delete',
    path: '/api/issuers/{id}',
    name: 'deleteIssuer',
    summary: 'Trusts an issuer no longer: its tokens are refused at once',
    access: 'tokens:write',
    params: { id: z.uuid() },
    answers: { 204: { description: 'Removed' }, 404: { description: 'No such issuer' } },
  },
  async ({ c, params }) =>
    runOnce(c, async (db) => {
      const row = await query(db, params.id);
      if (row === null)
        return new RefloatError('ISSUER_NOT_FOUND', `there is no issuer ${params.id}`, {
          hint: 'GET /api/issuers lists them.',
        });
      return { status: 204, target: `issuer:${row.id}`, details: { name: row.name, issuer: row.issuer } };
    }),
);
