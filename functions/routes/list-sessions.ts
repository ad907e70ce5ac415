import { z } from 'zod';
import { listSessions as query } from '../../db/queries/list-sessions.ts';
import { endpoint } from '../endpoint.ts';
import { LISTED_SESSION, listedSessionAnswer } from '../wire-people.ts';

export const listSessions = endpoint(
  {
    method: 'get',
    path: '/api/sessions',
    name: 'listSessions',
    summary: 'Where you are signed in, the session that was used last first',
    access: 'person',
    answers: { 200: { description: 'The sessions', schema: z.object({ sessions: z.array(LISTED_SESSION) }) } },
  },
  async ({ c, principal }) => {
    const rows = await query(c.get('db'), principal.personId);
    return c.json({ sessions: rows.map((row) => listedSessionAnswer(row, principal.sessionId)) });
  },
);
