import { RefloatError } from '../../db/errors.ts';
import { listPasskeys } from '../../db/queries/list-passkeys.ts';
import { OPTIONS, registrationOptions } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';

/** More than a person has; each is a name in what the browser is sent. */
const MOST = 20;

export const createRegistrationChallenge = endpoint(
  {
    method: 'post',
    path: '/api/passkeys/challenge',
    name: 'createRegistrationChallenge',
    summary: 'What a browser needs to make a passkey for you; valid once, for five minutes',
    access: 'person',
    fresh: true,
    answers: {
      200: { description: '`PublicKeyCredentialCreationOptionsJSON` of WebAuthn', schema: OPTIONS },
      403: { description: 'No fresh proof, or your role comes from an issuer, where you sign in' },
      409: { description: 'This address cannot have passkeys' },
    },
  },
  async ({ c, deps, principal }) => {
    if (principal.managedBy === 'oidc') {
      throw new RefloatError(
        'FORBIDDEN',
        'you sign in at your issuer, so a passkey here would outlive your account there',
        {
          hint: 'Where a fresh proof is needed, you are sent to your issuer.',
        },
      );
    }
    const known = await listPasskeys(c.get('db'), principal.personId);
    if (known.length >= MOST) {
      throw new RefloatError('FORBIDDEN', `a person may have ${MOST} passkeys`, {
        hint: 'Remove one that you do not use.',
      });
    }
    return c.json(await registrationOptions(c, deps, principal, known));
  },
);
