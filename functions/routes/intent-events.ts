import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { intentFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { followIntent } from '../follow-intent.ts';

export const intentEvents = endpoint(
  {
    method: 'get',
    path: '/api/intents/{id}/events',
    name: 'intentEvents',
    summary: 'The events of an intent as they happen, then `end` with the intent',
    access: 'intents:read',
    params: { id: z.uuid() },
    headers: { 'Last-Event-ID': 'Continue after the event with this number' },
    answers: {
      200: {
        description:
          'Server-sent events: `step`, `warning`, `state` and `snapshot` are numbered; `progress` and `end` are not',
        schema: z.string(),
        type: 'text/event-stream',
      },
      404: { description: 'No such intent' },
    },
  },
  async ({ c, deps, principal, params }) => {
    const intent = await intentFor(c.get('db'), principal, params.id);
    const lastEventId = Number(c.req.header('last-event-id') ?? '0');
    const afterSeq = Number.isSafeInteger(lastEventId) && lastEventId > 0 && lastEventId < 2 ** 31 ? lastEventId : 0;
    // Proxies that buffer would hold events back.
    c.header('x-accel-buffering', 'no');
    return streamSSE(c, (stream) => followIntent(c, deps, principal, intent.id, afterSeq, stream));
  },
);
