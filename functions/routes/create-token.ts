import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { listWorkloads } from '../../db/queries/list-workloads.ts';
import { requireNoMore } from '../auth/authenticate.ts';
import { issueToken } from '../auth/issue-token.ts';
import { SCOPES_OF_TOKENS } from '../auth/scopes.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { TOKEN, tokenAnswer } from '../wire.ts';

const DAY_SECONDS = 24 * 3600;

export const createToken = endpoint(
  {
    method: 'post',
    path: '/api/tokens',
    name: 'createToken',
    summary: 'Mints a token for automation, with scopes of your own only; its text is shown once',
    access: 'tokens:write',
    fresh: true,
    body: z.strictObject({
      subject: z
        .string()
        .regex(/^[^\p{Cc}\p{Cf}]{1,100}$/u, 'must be 1 to 100 printable characters')
        .default('automation'),
      scopes: z.array(z.enum(SCOPES_OF_TOKENS)).min(1).max(64),
      workloads: z.array(z.uuid()).min(1).max(1000).optional().describe('Ids of the workloads that it is limited to'),
      ttlSeconds: z
        .int()
        .min(1)
        .max(400 * DAY_SECONDS)
        .default(30 * DAY_SECONDS),
    }),
    answers: { 201: { description: 'The token', schema: TOKEN.extend({ token: z.string() }) } },
  },
  async ({ c, deps, principal, body }) => {
    const { subject, ttlSeconds, ...wanted } = await body();
    const scopes = [...new Set(wanted.scopes)];
    requireNoMore(principal, scopes);
    const workloads =
      wanted.workloads === undefined ? undefined : [...new Set(wanted.workloads.map((id) => id.toLowerCase()))];
    if (workloads !== undefined) {
      const known = new Set((await listWorkloads(c.get('db'), { ids: workloads })).map((row) => row.id));
      const unknown = workloads.filter((id) => !known.has(id));
      if (unknown.length > 0) {
        throw new RefloatError('VALIDATION_FAILED', `workloads: there is no workload ${unknown.join(', ')}`, {
          hint: 'GET /api/workloads lists them.',
          details: { errors: unknown.map((id) => ({ path: 'workloads', message: `there is no workload ${id}` })) },
        });
      }
    }
    return runOnce(c, async (db) => {
      const { jwt, row } = await issueToken(db, deps, {
        subject,
        scopes,
        workloads: workloads ?? null,
        createdBy: principal.actor,
        ttlSeconds,
      });
      return {
        status: 201,
        body: { ...tokenAnswer(row), token: jwt },
        secret: true,
        target: `token:${row.jti}`,
        details: { subject, scopes, workloads: workloads ?? null, expiresAt: row.expiresAt.toISOString() },
      };
    });
  },
);
