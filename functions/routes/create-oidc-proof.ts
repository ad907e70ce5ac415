import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { beginOidc } from '../auth/oidc-flow.ts';
import { endpoint } from '../endpoint.ts';
import { RETURN_TO } from '../wire-people.ts';

export const createOidcProof = endpoint(
  {
    method: 'post',
    path: '/api/session/proof/oidc',
    name: 'createOidcProof',
    summary: 'Where to send the browser to prove at the OIDC issuer that it is still you',
    access: 'person',
    body: z.strictObject({ returnTo: RETURN_TO }),
    answers: {
      200: { description: 'The address, for five minutes and this browser', schema: z.object({ url: z.string() }) },
      403: { description: 'You do not sign in at the issuer' },
      404: { description: 'No issuer is set up' },
      503: { description: 'The issuer cannot be asked' },
    },
  },
  async ({ c, deps, principal, body }) => {
    if (principal.managedBy !== 'oidc')
      throw new RefloatError('FORBIDDEN', 'you do not sign in at the issuer', { hint: 'Use a passkey.' });
    const { returnTo } = await body();
    return c.json(await beginOidc(c, deps, principal.sessionId, returnTo));
  },
);
