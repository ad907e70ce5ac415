import { revokeSession } from '../../db/queries/revoke-session.ts';
import { sendCookie } from '../auth/session.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const deleteSession = endpoint(
  {
    method: 'delete',
    path: '/api/session',
    name: 'deleteSession',
    summary: 'Signs out: the session ends on the server, too',
    access: 'person',
    answers: { 204: { description: 'Signed out' } },
  },
  async ({ c, principal }) => {
    const response = await runOnce(c, async (db) => {
      await revokeSession(db, principal.sessionId, principal.personId);
      return { status: 204, target: `session:${principal.sessionId}` };
    });
    sendCookie(c, '');
    return response;
  },
);
