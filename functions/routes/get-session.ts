import { z } from 'zod';
import { endpoint } from '../endpoint.ts';

export const getSession = endpoint(
  {
    method: 'get',
    path: '/api/session',
    name: 'getSession',
    summary: 'Whose credential this is, and what it may do',
    access: 'any',
    answers: {
      200: {
        description: 'The credential',
        schema: z.object({
          subject: z.string(),
          scopes: z.array(z.string()),
          workloads: z.array(z.uuid()).nullable(),
          via: z.enum(['bearer', 'cookie']),
          expiresAt: z.iso.datetime(),
        }),
      },
      401: { description: 'No credential, or a bad one' },
    },
  },
  ({ c, principal: { subject, scopes, workloads, via, expiresAt } }) =>
    c.json({
      subject,
      scopes: [...scopes],
      workloads: workloads === null ? null : [...workloads],
      via,
      expiresAt: expiresAt.toISOString(),
    }),
);
