/** People and the one-time links that sign them in. */
import type { Queryable } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { findPersonByName } from '../../db/queries/find-person-by-name.ts';
import { insertPerson, type PersonRow } from '../../db/queries/insert-person.ts';
import type { Role } from '../../db/roles.ts';
import { createOneTimeLink, type OneTimeLink, SIGN_IN_TTL_SECONDS } from './one-time.ts';

export interface Invitation {
  readonly name: string;
  readonly role: Role;
  /** Names of projects; null: no limit. */
  readonly projects: readonly string[] | null;
  /** Actor of the audit. */
  readonly createdBy: string;
}

/** The person of that name, as they are; made as the invitation says if there is none. */
export async function invite(db: Queryable, invitation: Invitation): Promise<PersonRow> {
  const { projects, ...facts } = invitation;
  const made = await insertPerson(db, { id: newId(), ...facts, projects: projects === null ? null : [...projects] });
  const person = made ?? (await findPersonByName(db, invitation.name));
  if (person === null) throw new Error('a person vanished between two statements');
  return person;
}

/** The link signs in as this person, once; who uses it has proved to be them for the next five minutes. */
export function createSignInLink(db: Queryable, person: PersonRow, now: Date): Promise<OneTimeLink> {
  const what = { purpose: 'sign-in', subject: person.name, personId: person.id } as const;
  return createOneTimeLink(db, what, SIGN_IN_TTL_SECONDS, now);
}
