import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findPerson } from '../../db/queries/find-person.ts';
import { listFullAdmins } from '../../db/queries/list-full-admins.ts';
import { listPeople } from '../../db/queries/list-people.ts';
import { revokeSessionsOf } from '../../db/queries/revoke-sessions-of.ts';
import { type PersonChange, updatePerson } from '../../db/queries/update-person.ts';
import { ROLES } from '../../db/roles.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { PERSON, PROJECTS, personAnswer } from '../wire-people.ts';

export const putPerson = endpoint(
  {
    method: 'put',
    path: '/api/people/{id}',
    name: 'putPerson',
    summary: 'Gives a person another role or other projects, at once; or disables them, which ends their sessions',
    access: 'people:write',
    fresh: true,
    params: { id: z.uuid() },
    body: z.strictObject({
      role: z.enum(ROLES),
      projects: PROJECTS.default(null),
      disabled: z.boolean().default(false),
    }),
    answers: {
      200: { description: 'Changed', schema: PERSON },
      404: { description: 'No such person' },
      409: { description: 'No admin without a limit would be left' },
      422: { description: 'Not valid; or role and projects follow the claims of an issuer' },
    },
  },
  async ({ c, params, body }) => {
    const change = await body();
    return runOnce(c, async (db) => {
      const refused = await refusal(db, params.id, change);
      if (refused !== undefined) return refused;
      const person = await updatePerson(db, params.id, change);
      if (person === null) return unknown(params.id);
      if (change.disabled) await revokeSessionsOf(db, person.id);
      return {
        status: 200,
        body: (await listPeople(db, person.id)).map(personAnswer)[0],
        target: `person:${person.id}`,
        details: { name: person.name, ...change },
      };
    });
  },
);

async function refusal(db: Queryable, id: string, change: PersonChange): Promise<RefloatError | undefined> {
  const admins = await listFullAdmins(db);
  const person = await findPerson(db, id);
  if (person === null) return unknown(id);
  const stays = change.role === 'admin' && change.projects === null && !change.disabled;
  if (!stays && admins.length === 1 && admins[0] === person.id) {
    return new RefloatError('LAST_ADMIN', `"${person.name}" is the last admin without a limit`, {
      hint: 'Make another admin first.',
    });
  }
  const same =
    change.role === person.role &&
    JSON.stringify([...(change.projects ?? [])].sort()) === JSON.stringify([...(person.projects ?? [])].sort());
  if (person.managedBy === 'admin' || same) return undefined;
  return new RefloatError(
    'VALIDATION_FAILED',
    `role and projects of "${person.name}" follow the claims of the issuer`,
    {
      hint: 'Change REFLOAT_OIDC_ROLES, or the groups at the issuer. You can disable the person here.',
    },
  );
}

function unknown(id: string): RefloatError {
  return new RefloatError('PERSON_NOT_FOUND', `there is no person ${id}`, { hint: 'GET /api/people lists them.' });
}
