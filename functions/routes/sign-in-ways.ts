import { z } from 'zod';
import { relyingParty } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';

export const signInWays = endpoint(
  {
    method: 'get',
    path: '/api/session/ways',
    name: 'signInWays',
    summary: 'How people can sign in here, beside one-time links',
    access: 'public',
    answers: {
      200: {
        description: 'The ways',
        schema: z.object({
          passkeys: z.boolean().describe('false: the address is not a name'),
          oidc: z.string().nullable().describe('Host of the OIDC issuer; null: none is set up'),
        }),
      },
    },
  },
  ({ c, deps }) =>
    c.json({ passkeys: relyingParty(c, deps) !== undefined, oidc: deps.oidc?.config.issuer.hostname ?? null }),
);
