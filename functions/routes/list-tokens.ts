import { z } from 'zod';
import { listTokens as query } from '../../db/queries/list-tokens.ts';
import { endpoint } from '../endpoint.ts';
import { TOKEN, tokenAnswer } from '../wire.ts';

const LIMIT = 1000;

export const listTokens = endpoint(
  {
    method: 'get',
    path: '/api/tokens',
    name: 'listTokens',
    summary: 'Tokens of automation, newest first, also expired and revoked ones',
    access: 'tokens:write',
    answers: { 200: { description: 'The tokens, without their text', schema: z.object({ tokens: z.array(TOKEN) }) } },
  },
  async ({ c }) => c.json({ tokens: (await query(c.get('db'), LIMIT)).map(tokenAnswer) }),
);
