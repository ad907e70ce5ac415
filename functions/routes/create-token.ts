import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { requireNoMore } from '../auth/authenticate.ts';
import { issueToken } from '../auth/issue-token.ts';
import { MAX_TOKEN_SECONDS } from '../auth/key-set.ts';
import { PROJECTS, requireKnownWorkloads } from '../auth/limits.ts';
import { SCOPES_OF_TOKENS } from '../auth/scopes.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { TOKEN, tokenAnswer } from '../wire.ts';

const DEFAULT_SECONDS = 30 * 24 * 3600;

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
        .refine(
          (subject) => !/^(person|issuer|host|database):/i.test(subject),
          'must not begin like a name that we give',
        )
        .default('automation'),
      scopes: z.array(z.enum(SCOPES_OF_TOKENS)).min(1).max(64),
      workloads: z.array(z.uuid()).min(1).max(1000).optional().describe('Ids of the workloads that it is limited to'),
      projects: PROJECTS.optional().describe('Names of the projects that it is limited to'),
      ttlSeconds: z.int().min(1).default(DEFAULT_SECONDS).describe('At most 90 days'),
    }),
    answers: {
      201: { description: 'The token', schema: TOKEN.extend({ token: z.string() }) },
      422: { description: 'Longer than 90 days (`TOKEN_TTL_TOO_LONG`), or not valid' },
    },
  },
  async ({ c, deps, principal, body }) => {
    const { subject, ttlSeconds, projects, ...wanted } = await body();
    const scopes = [...new Set(wanted.scopes)];
    requireNoMore(principal, scopes);
    if (ttlSeconds > MAX_TOKEN_SECONDS) {
      throw new RefloatError('TOKEN_TTL_TOO_LONG', 'a token lives 90 days at most', {
        hint: 'Choose a shorter life and mint the next one in time; or let a trusted issuer vouch for your jobs (refloat issuers add).',
        details: { maxTtlSeconds: MAX_TOKEN_SECONDS },
      });
    }
    const workloads =
      wanted.workloads === undefined ? undefined : [...new Set(wanted.workloads.map((id) => id.toLowerCase()))];
    if (workloads !== undefined) await requireKnownWorkloads(c.get('db'), workloads);
    return runOnce(c, async (db) => {
      const { jwt, row } = await issueToken(db, deps, {
        subject,
        scopes,
        workloads: workloads ?? null,
        projects: projects ?? null,
        createdBy: principal.actor,
        ttlSeconds,
      });
      return {
        status: 201,
        body: { ...tokenAnswer(row), token: jwt },
        secret: true,
        target: `token:${row.jti}`,
        details: {
          subject,
          scopes,
          workloads: row.workloads,
          projects: row.projects,
          expiresAt: row.expiresAt.toISOString(),
        },
      };
    });
  },
);
