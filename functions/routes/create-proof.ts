import { RefloatError } from '../../db/errors.ts';
import { ASSERTION, verifyPasskey } from '../auth/passkeys.ts';
import { prove, sendCookie } from '../auth/session.ts';
import { SESSION, sessionAnswer } from '../auth/session-answer.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const createProof = endpoint(
  {
    method: 'post',
    path: '/api/session/proof',
    name: 'createProof',
    summary: 'Proves with a passkey that it is still you, for the next five minutes',
    access: 'person',
    body: ASSERTION,
    answers: {
      200: { description: 'The session', schema: SESSION },
      401: { description: 'The passkey, its answer or the challenge does not count' },
    },
  },
  async ({ c, deps, principal, body }) => {
    const answer = await body();
    let jwt: string | undefined;
    const response = await runOnce(c, async (db) => {
      const passkey = await verifyPasskey(c, deps, db, answer, principal.sessionId);
      if (passkey instanceof RefloatError) return passkey;
      if (passkey.personId !== principal.personId) {
        return new RefloatError('PASSKEY_INVALID', 'this passkey is another person’s', { hint: 'Use one of yours.' });
      }
      const { sessionId: id, personId, expiresAt } = principal;
      jwt = await prove(c, deps, db, { id, personId, expiresAt }, { kind: 'passkey', at: 'now' });
      const proof = { kind: 'passkey', at: deps.now(), fresh: true } as const;
      return {
        status: 200,
        body: sessionAnswer({ ...principal, proof }),
        target: `session:${principal.sessionId}`,
        details: { proof: 'passkey', passkey: passkey.name },
      };
    });
    if (jwt !== undefined) sendCookie(c, jwt);
    return response;
  },
);
