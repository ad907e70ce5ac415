import { z } from 'zod';
import { endpoint } from '../endpoint.ts';

export const jwks = endpoint(
  {
    method: 'get',
    path: '/.well-known/jwks.json',
    name: 'jwks',
    summary: 'The public keys that verify our tokens',
    access: 'public',
    answers: { 200: { description: 'A JWKS', schema: z.object({ keys: z.array(z.looseObject({})) }) } },
  },
  ({ c, deps }) => c.json(deps.keys.publicJwks(deps.now()), 200, { 'cache-control': 'public, max-age=300' }),
);
