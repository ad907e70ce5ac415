import { requireSafeSignIn } from '../auth/origin.ts';
import { OPTIONS, passkeyOptions } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';

export const createPasskeyChallenge = endpoint(
  {
    method: 'post',
    path: '/api/session/passkey/challenge',
    name: 'createPasskeyChallenge',
    summary: 'What a browser needs to sign in with any passkey of this site; valid once, for five minutes',
    access: 'public',
    answers: {
      200: { description: '`PublicKeyCredentialRequestOptionsJSON` of WebAuthn', schema: OPTIONS },
      409: { description: 'This address cannot have passkeys' },
    },
  },
  async ({ c, deps }) => {
    requireSafeSignIn(c, deps);
    return c.json(await passkeyOptions(c, deps, null));
  },
);
