import { RefloatError } from '../../db/errors.ts';
import { findPerson } from '../../db/queries/find-person.ts';
import { requireSafeSignIn } from '../auth/origin.ts';
import { ASSERTION, verifyPasskey } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';
import { SIGNED_IN, signIn } from '../sign-in.ts';

export const createPasskeySession = endpoint(
  {
    method: 'post',
    path: '/api/session/passkey',
    name: 'createPasskeySession',
    summary: 'Signs a person in with a passkey; sets the session cookie',
    access: 'public',
    body: ASSERTION,
    answers: {
      200: { description: 'Signed in', schema: SIGNED_IN },
      401: { description: 'The passkey, its answer or the challenge does not count' },
    },
  },
  async ({ c, deps, body }) => {
    requireSafeSignIn(c, deps);
    const answer = await body();
    return signIn(c, deps, { kind: 'passkey', at: 'now' }, async (db) => {
      const passkey = await verifyPasskey(c, deps, db, answer, null);
      if (passkey instanceof RefloatError) return passkey;
      const person = await findPerson(db, passkey.personId);
      // Whom an issuer manages signs in there, so that who is removed there is out here.
      if (person !== null && person.disabledAt === null && person.managedBy === 'admin') return person;
      return new RefloatError('PASSKEY_INVALID', 'whose passkey this is may not sign in', { hint: 'Ask an admin.' });
    });
  },
);
