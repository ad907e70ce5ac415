import { z } from 'zod';
import { listAudit as query } from '../../db/queries/list-audit.ts';
import { endpoint } from '../endpoint.ts';
import { AUDIT, auditAnswer } from '../wire.ts';

export const listAudit = endpoint(
  {
    method: 'get',
    path: '/api/audit',
    name: 'listAudit',
    summary: 'Who did, or was refused, what; newest first. `next` continues the list as `cursor`',
    access: 'audit:read',
    query: {
      cursor: z.coerce.number().int().positive().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    },
    answers: {
      200: { description: 'The entries', schema: z.object({ audit: z.array(AUDIT), next: z.int().nullable() }) },
    },
  },
  async ({ c, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), cursor, limit + 1);
    const page = rows.slice(0, limit);
    return c.json({
      audit: page.map(auditAnswer),
      next: rows.length > page.length ? (page.at(-1)?.seq ?? null) : null,
    });
  },
);
