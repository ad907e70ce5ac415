import { z } from 'zod';
import { listAudit as query } from '../../db/queries/list-audit.ts';
import { endpoint } from '../endpoint.ts';
import { answerAuditLines } from '../export-audit.ts';
import { AUDIT, auditAnswer } from '../wire.ts';

export const listAudit = endpoint(
  {
    method: 'get',
    path: '/api/audit',
    name: 'listAudit',
    summary: 'Who did, or was refused, what; newest first. `next` continues the list as `cursor`',
    access: 'audit:read',
    query: {
      format: z
        .enum(['json', 'jsonl'])
        .default('json')
        .describe('`jsonl`: all of it, as JSON lines, oldest first, ending with `{"head":{"seq","hash"}}`'),
      after: z.coerce.number().int().min(0).default(0).describe('`jsonl` only: entries after this number'),
      cursor: z.coerce.number().int().positive().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    },
    answers: {
      200: {
        description: 'The entries',
        schema: z.object({ audit: z.array(AUDIT), next: z.int().nullable() }),
        or: { 'application/x-ndjson': z.string() },
      },
    },
  },
  async ({ c, deps, query: { cursor, limit, format, after } }) => {
    if (format === 'jsonl') return answerAuditLines(c, deps, after);
    const rows = await query(c.get('db'), cursor, limit + 1);
    const page = rows.slice(0, limit);
    return c.json({
      audit: page.map(auditAnswer),
      next: rows.length > page.length ? (page.at(-1)?.seq ?? null) : null,
    });
  },
);
