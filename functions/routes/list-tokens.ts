import { z } from 'zod';
import { listTokens as query } from '../../db/queries/list-tokens.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { TOKEN, tokenAnswer } from '../wire.ts';

export const listTokens = endpoint(
  {
    method: 'get',
    path: '/api/tokens',
    name: 'listTokens',
    summary: 'Tokens of automation, newest first, also expired and revoked ones',
    access: 'tokens:write',
    query: PAGE_QUERY,
    answers: {
      200: { description: 'The tokens, without their text', schema: z.object({ tokens: z.array(TOKEN), next: NEXT }) },
    },
  },
  async ({ c, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), seekOf({ cursor, limit }, { key: 'moment', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, ({ key, token }) => [key, token.jti]);
    return c.json({ tokens: page.map(({ token }) => tokenAnswer(token)), next });
  },
);
