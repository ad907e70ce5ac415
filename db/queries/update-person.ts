import { eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { Role } from '../roles.ts';
import { people } from '../schema/people.ts';
import type { PersonRow } from './insert-person.ts';

export interface PersonChange {
  readonly role: Role;
  readonly projects: readonly string[] | null;
  readonly disabled: boolean;
}

/** Null if there is no such person. */
export async function updatePerson(
  db: Queryable,
  id: string,
  { role, projects, disabled }: PersonChange,
): Promise<PersonRow | null> {
  const rows = await db
    .update(people)
    .set({
      role,
      projects: projects === null ? null : [...projects],
      disabledAt: disabled ? sql`coalesce(${people.disabledAt}, now())` : null,
    })
    .where(eq(people.id, id))
    .returning();
  return rows[0] ?? null;
}
