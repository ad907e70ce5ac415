import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import type { IssuerRow } from '../../db/queries/find-issuer.ts';
import { insertIssuer } from '../../db/queries/insert-issuer.ts';
import { requireNoMore } from '../auth/authenticate.ts';
import { fetchIssuerKeys } from '../auth/issuer-keys.ts';
import { ISSUER_RULE } from '../auth/issuer-rules.ts';
import { requireKnownWorkloads } from '../auth/limits.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { ISSUER, issuerAnswer } from '../wire.ts';

/** Signatures only, none by a shared secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;

export const createIssuer = endpoint(
  {
    method: 'post',
    path: '/api/issuers',
    name: 'createIssuer',
    summary: 'Trusts an issuer: its tokens are accepted, and may do what the first matching rule says',
    access: 'tokens:write',
    fresh: true,
    body: z.strictObject({
      name: z
        .string()
        .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, 'must be 1 to 63 of letters, digits, dot, dash and underscore')
        .describe('Begins the subject of its tokens in lists and in the audit'),
      issuer: z
        .string()
        .min(1)
        .max(1024)
        .describe('`iss` of its tokens, to the letter; its discovery document is below it'),
      audience: z
        .string()
        .min(1)
        .max(256)
        .describe('`aud` that its tokens must have, and that no other service accepts'),
      algorithms: z.array(z.enum(ALGORITHMS)).min(1).max(10).default(['RS256']),
      rules: z
        .array(ISSUER_RULE)
        .min(1)
        .max(64)
        .describe('In order: the first one of which every condition holds decides'),
    }),
    answers: {
      201: { description: 'Trusted from now on', schema: ISSUER },
      409: { description: 'The name or the issuer is taken' },
      422: { description: 'Not an issuer that can be trusted, or not valid' },
      503: { description: 'It does not answer' },
    },
  },
  async ({ c, deps, principal, body }) => {
    const { name, issuer, audience, algorithms, rules } = await body();
    requireNoMore(
      principal,
      rules.flatMap((rule) => rule.scopes),
    );
    await requireKnownWorkloads(
      c.get('db'),
      rules.flatMap((rule) => rule.workloads ?? []),
    );
    if (issuer === deps.issuer) {
      throw new RefloatError('ISSUER_INVALID', 'this is the issuer of our own tokens', {
        hint: 'They are accepted already: refloat token create.',
      });
    }
    const jwks = await fetchIssuerKeys(deps.fetchJson, issuer);
    return runOnce(c, async (db) => {
      const row = await insertIssuer(db, {
        id: newId(),
        name,
        issuer,
        audience,
        algorithms: [...new Set(algorithms)],
        // Through JSON: members that are undefined are not there.
        rules: JSON.parse(JSON.stringify(rules)) as IssuerRow['rules'],
        createdBy: principal.actor,
        jwks,
      });
      if (row === null)
        return new RefloatError('NAME_TAKEN', `there is an issuer "${name}", or one for ${issuer}, already`, {
          hint: 'Remove it first: an issuer is not changed but replaced.',
        });
      return {
        status: 201,
        headers: { location: `/api/issuers/${row.id}` },
        body: issuerAnswer(row),
        target: `issuer:${row.id}`,
        details: { name, issuer, audience, algorithms, rules },
      };
    });
  },
);
