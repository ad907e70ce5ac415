import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { revokeToken as query } from '../../db/queries/revoke-token.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const revokeToken = endpoint(
  {
    method: 'delete',
    path: '/api/tokens/{jti}',
    name: 'revokeToken',
    summary: 'Ends a token at once',
    access: 'tokens:write',
    params: { jti: z.uuid() },
    answers: { 204: { description: 'Revoked' }, 404: { description: 'No such token' } },
  },
  async ({ c, params }) =>
    runOnce(c, async (db) => {
      const row = await query(db, params.jti, 'automation');
      if (row === null)
        return new RefloatError('TOKEN_NOT_FOUND', `there is no token ${params.jti}`, {
          hint: 'GET /api/tokens lists them.',
        });
      return { status: 204, target: `token:${row.jti}`, details: { subject: row.subject } };
    }),
);
