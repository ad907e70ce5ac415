import { z } from 'zod';
import { beginOidc } from '../auth/oidc-flow.ts';
import { requireSafeSignIn } from '../auth/origin.ts';
import { endpoint } from '../endpoint.ts';
import { RETURN_TO } from '../wire-people.ts';

export const createOidcDeparture = endpoint(
  {
    method: 'post',
    path: '/api/session/oidc',
    name: 'createOidcDeparture',
    summary: 'Where to send the browser to sign in at the OIDC issuer',
    access: 'public',
    body: z.strictObject({ returnTo: RETURN_TO }),
    answers: {
      200: { description: 'The address, for five minutes and this browser', schema: z.object({ url: z.string() }) },
      404: { description: 'No issuer is set up' },
      503: { description: 'The issuer cannot be asked' },
    },
  },
  async ({ c, deps, body }) => {
    requireSafeSignIn(c, deps);
    const { returnTo } = await body();
    return c.json(await beginOidc(c, deps, null, returnTo));
  },
);
