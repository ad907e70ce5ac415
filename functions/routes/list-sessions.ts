import { z } from 'zod';
import { listSessions as query } from '../../db/queries/list-sessions.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { LISTED_SESSION, listedSessionAnswer } from '../wire-people.ts';

export const listSessions = endpoint(
  {
    method: 'get',
    path: '/api/sessions',
    name: 'listSessions',
    summary: 'Where you are signed in, the session that was used last first',
    access: 'person',
    query: PAGE_QUERY,
    answers: {
      200: { description: 'The sessions', schema: z.object({ sessions: z.array(LISTED_SESSION), next: NEXT }) },
    },
  },
  async ({ c, principal, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), principal.personId, seekOf({ cursor, limit }, { key: 'moment', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, ({ key, session }) => [key, session.id]);
    return c.json({ sessions: page.map(({ session }) => listedSessionAnswer(session, principal.sessionId)), next });
  },
);
