import { SESSION, sessionAnswer } from '../auth/session-answer.ts';
import { endpoint } from '../endpoint.ts';

export const getSession = endpoint(
  {
    method: 'get',
    path: '/api/session',
    name: 'getSession',
    summary: 'Whose credential this is, and what it may do',
    access: 'any',
    answers: {
      200: { description: 'The credential', schema: SESSION },
      401: { description: 'No credential, or a bad one' },
    },
  },
  ({ c, principal }) => c.json(sessionAnswer(principal)),
);
