import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { revokeSession as query } from '../../db/queries/revoke-session.ts';
import { sendCookie } from '../auth/session.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const revokeSession = endpoint(
  {
    method: 'delete',
    path: '/api/sessions/{id}',
    name: 'revokeSession',
    summary: 'Ends one of your sessions at once, wherever it is',
    access: 'person',
    params: { id: z.uuid() },
    answers: { 204: { description: 'Ended' }, 404: { description: 'No such session of yours' } },
  },
  async ({ c, principal, params }) => {
    const response = await runOnce(c, async (db) => {
      if (await query(db, params.id, principal.personId)) return { status: 204, target: `session:${params.id}` };
      return new RefloatError('SESSION_NOT_FOUND', `you have no session ${params.id}`, {
        hint: 'GET /api/sessions lists them; it may have ended.',
      });
    });
    if (params.id.toLowerCase() === principal.sessionId) sendCookie(c, '');
    return response;
  },
);
