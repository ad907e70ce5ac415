import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { insertPerson } from '../../db/queries/insert-person.ts';
import { ROLES } from '../../db/roles.ts';
import { createSignInLink } from '../auth/invite.ts';
import { signInUrl } from '../auth/one-time.ts';
import { ownOrigin } from '../auth/origin.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { INVITED, NAME, PROJECTS, personAnswer } from '../wire-people.ts';

export const createPerson = endpoint(
  {
    method: 'post',
    path: '/api/people',
    name: 'createPerson',
    summary: 'Invites a person: they sign in with the one-time link of the answer, which is shown once',
    access: 'people:write',
    fresh: true,
    body: z.strictObject({ name: NAME, role: z.enum(ROLES), projects: PROJECTS.default(null) }),
    answers: { 201: { description: 'Invited', schema: INVITED }, 409: { description: 'The name is taken' } },
  },
  async ({ c, deps, principal, body }) => {
    const { name, role, projects } = await body();
    return runOnce(c, async (db) => {
      const person = await insertPerson(db, { id: newId(), name, role, projects, createdBy: principal.actor });
      if (person === null) {
        return new RefloatError('NAME_TAKEN', `there is a person "${name}" already`, {
          hint: 'Choose another name, or make a new link for that one: POST /api/people/{id}/link.',
        });
      }
      const link = await createSignInLink(db, person, deps.now());
      return {
        status: 201,
        headers: { location: `/api/people/${person.id}` },
        body: {
          ...personAnswer({ ...person, passkeys: 0, lastSeenAt: null }),
          signInLink: signInUrl(ownOrigin(c, deps), link),
          linkExpiresAt: link.expiresAt.toISOString(),
        },
        secret: true,
        target: `person:${person.id}`,
        details: { name, role, projects },
      };
    });
  },
);
