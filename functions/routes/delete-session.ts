import { deleteCookie } from 'hono/cookie';
import { revokeToken } from '../../db/queries/revoke-token.ts';
import { sessionCookie } from '../auth/session.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const deleteSession = endpoint(
  {
    method: 'delete',
    path: '/api/session',
    name: 'deleteSession',
    summary: 'Signs out: the session ends on the server, too',
    access: 'any',
    answers: { 204: { description: 'Signed out' } },
  },
  async ({ c, deps, principal }) => {
    await runOnce(c, async (db) => {
      await revokeToken(db, principal.jti, 'session');
      return { status: 204, target: `session:${principal.jti}` };
    });
    const { name, secure } = sessionCookie(c, deps);
    deleteCookie(c, name, { path: '/', secure });
    return c.body(null, 204);
  },
);
