import { z } from 'zod';
import { intentFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { INTENT, intentAnswer } from '../wire.ts';

export const getIntent = endpoint(
  {
    method: 'get',
    path: '/api/intents/{id}',
    name: 'getIntent',
    summary: 'An intent with its progress, result and error',
    access: 'intents:read',
    params: { id: z.uuid() },
    answers: { 200: { description: 'The intent', schema: INTENT }, 404: { description: 'No such intent' } },
  },
  async ({ c, principal, params }) => c.json(intentAnswer(await intentFor(c.get('db'), principal, params.id))),
);
