import { RefloatError } from '../../db/errors.ts';
import { listPasskeys } from '../../db/queries/list-passkeys.ts';
import { OPTIONS, passkeyOptions } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';

export const createProofChallenge = endpoint(
  {
    method: 'post',
    path: '/api/session/proof/challenge',
    name: 'createProofChallenge',
    summary: 'What a browser needs to prove with a passkey that it is you; valid once, for five minutes',
    access: 'person',
    answers: {
      200: { description: '`PublicKeyCredentialRequestOptionsJSON` of WebAuthn', schema: OPTIONS },
      404: { description: 'You have no passkey' },
      409: { description: 'This address cannot have passkeys' },
    },
  },
  async ({ c, deps, principal }) => {
    const passkeys = await listPasskeys(c.get('db'), principal.personId);
    if (passkeys.length === 0) {
      throw new RefloatError('NO_PASSKEY', 'you have no passkey yet', {
        hint: 'Open a new sign-in link (refloat admin invite, on the server), then add a passkey within five minutes.',
      });
    }
    return c.json(await passkeyOptions(c, deps, { sessionId: principal.sessionId, passkeys }));
  },
);
