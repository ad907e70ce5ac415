import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { insertPasskey } from '../../db/queries/insert-passkey.ts';
import { ATTESTATION, verifyRegistration } from '../auth/passkeys.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { NAME, PASSKEY, passkeyAnswer } from '../wire-people.ts';

/** The challenge was asked for with a fresh proof, in this session, within its five minutes. */
export const createPasskey = endpoint(
  {
    method: 'post',
    path: '/api/passkeys',
    name: 'createPasskey',
    summary: 'Keeps a passkey that the browser has made',
    access: 'person',
    body: z.strictObject({ name: NAME, credential: ATTESTATION }),
    answers: {
      201: { description: 'Kept', schema: PASSKEY },
      401: { description: 'The answer or the challenge does not count' },
    },
  },
  async ({ c, deps, principal, body }) => {
    const { name, credential } = await body();
    return runOnce(c, async (db) => {
      const verified = await verifyRegistration(c, deps, db, credential, principal.sessionId);
      if (verified instanceof RefloatError) return verified;
      const row = await insertPasskey(db, { ...verified, personId: principal.personId, name });
      if (row === null)
        return new RefloatError('PASSKEY_INVALID', 'this passkey is registered already', { hint: 'Make another one.' });
      return { status: 201, body: passkeyAnswer(row), target: `passkey:${row.id}`, details: { name } };
    });
  },
);
