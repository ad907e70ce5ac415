import { z } from 'zod';
import { endpoint } from '../endpoint.ts';

export const healthz = endpoint(
  {
    method: 'get',
    path: '/healthz',
    name: 'healthz',
    summary: 'This process answers',
    access: 'public',
    answers: { 200: { description: 'It does', schema: z.object({ ok: z.literal(true) }) } },
  },
  ({ c }) => c.json({ ok: true as const }),
);
