import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { findPerson } from '../../db/queries/find-person.ts';
import { useOneTimeLink } from '../../db/queries/use-one-time-link.ts';
import { requireSafeSignIn } from '../auth/origin.ts';
import { sha256Hex } from '../auth/secrets.ts';
import { endpoint } from '../endpoint.ts';
import { SIGNED_IN, signIn } from '../sign-in.ts';

/** The page /sign-in posts the secret of its link here; only this uses the link up, so that a prefetch does not. */
export const createSession = endpoint(
  {
    method: 'post',
    path: '/api/session',
    name: 'createSession',
    summary: 'Signs a person in with the secret of a one-time link; sets the session cookie',
    access: 'public',
    body: z.strictObject({ token: z.string().min(1).max(200) }),
    answers: {
      200: { description: 'Signed in', schema: SIGNED_IN },
      401: { description: 'The link is unknown, used or expired' },
    },
  },
  async ({ c, deps, body }) => {
    requireSafeSignIn(c, deps);
    const hash = await sha256Hex((await body()).token);
    await c.get('limit')('link', hash);
    return signIn(c, deps, { kind: 'link', at: 'now' }, async (db) => {
      const link = await useOneTimeLink(db, hash, 'sign-in');
      const person = link?.personId == null ? null : await findPerson(db, link.personId);
      if (person !== null && person.disabledAt === null) return person;
      return new RefloatError('LINK_INVALID', 'this sign-in link is unknown, used or expired', {
        hint: 'Make a new one: refloat admin invite, on the server; or ask an admin.',
      });
    });
  },
);
