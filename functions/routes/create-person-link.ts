import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { findPerson } from '../../db/queries/find-person.ts';
import { createSignInLink } from '../auth/invite.ts';
import { signInUrl } from '../auth/one-time.ts';
import { ownOrigin } from '../auth/origin.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const createPersonLink = endpoint(
  {
    method: 'post',
    path: '/api/people/{id}/link',
    name: 'createPersonLink',
    summary: 'A new one-time sign-in link for a person who has lost their passkey; shown once',
    access: 'people:write',
    fresh: true,
    params: { id: z.uuid() },
    answers: {
      201: {
        description: 'The link',
        schema: z.object({ signInLink: z.string(), linkExpiresAt: z.iso.datetime() }),
      },
      404: { description: 'No such person who signs in here' },
    },
  },
  async ({ c, deps, params }) =>
    runOnce(c, async (db) => {
      const person = await findPerson(db, params.id);
      if (person === null || person.disabledAt !== null || person.managedBy === 'oidc') {
        return new RefloatError('PERSON_NOT_FOUND', `there is no person ${params.id} who signs in with a link`, {
          hint: 'A disabled one must be enabled first; whom an issuer manages signs in there.',
        });
      }
      const link = await createSignInLink(db, person, deps.now());
      return {
        status: 201,
        body: { signInLink: signInUrl(ownOrigin(c, deps), link), linkExpiresAt: link.expiresAt.toISOString() },
        secret: true,
        target: `person:${person.id}`,
        details: { name: person.name },
      };
    }),
);
