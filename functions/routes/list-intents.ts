import { z } from 'zod';
import { INTENT_KINDS, INTENT_STATES } from '../../db/intent-state.ts';
import { listIntents as query } from '../../db/queries/list-intents.ts';
import { requireWorkload } from '../auth/principal.ts';
import { endpoint } from '../endpoint.ts';
import { INTENT, intentAnswer } from '../wire.ts';

/** Several values, separated by commas. */
const listOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(values)).min(1))
    .optional();

export const listIntents = endpoint(
  {
    method: 'get',
    path: '/api/intents',
    name: 'listIntents',
    summary: 'Intents, newest first; `next` continues the list as `cursor`',
    access: 'intents:read',
    query: {
      workloadId: z.uuid().optional(),
      hostId: z.uuid().optional(),
      kind: listOf(INTENT_KINDS),
      state: listOf(INTENT_STATES),
      cursor: z.uuid().optional(),
      limit: z.coerce.number().int().min(1).max(500).default(50),
    },
    answers: {
      200: { description: 'The intents', schema: z.object({ intents: z.array(INTENT), next: z.uuid().nullable() }) },
    },
  },
  async ({ c, principal, query: filter }) => {
    if (filter.workloadId !== undefined) requireWorkload(principal, filter.workloadId);
    const only = filter.workloadId === undefined ? principal.workloads : [filter.workloadId];
    const rows = await query(c.get('db'), {
      limit: filter.limit + 1,
      ...(only === null ? {} : { workloadIds: [...only] }),
      ...(principal.projects === null ? {} : { projects: [...principal.projects] }),
      ...(filter.hostId === undefined ? {} : { hostId: filter.hostId }),
      ...(filter.kind === undefined ? {} : { kinds: filter.kind }),
      ...(filter.state === undefined ? {} : { states: filter.state }),
      ...(filter.cursor === undefined ? {} : { beforeId: filter.cursor }),
    });
    const page = rows.slice(0, filter.limit);
    return c.json({
      intents: page.map(intentAnswer),
      next: rows.length > page.length ? (page.at(-1)?.id ?? null) : null,
    });
  },
);
