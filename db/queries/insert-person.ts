import type { Queryable } from '../client.ts';
import { people } from '../schema/people.ts';

export type PersonRow = typeof people.$inferSelect;

/** Null if the name is taken, in whatever case (of letters whose case the database's locale knows). */
export async function insertPerson(db: Queryable, person: typeof people.$inferInsert): Promise<PersonRow | null> {
  const rows = await db.insert(people).values(person).onConflictDoNothing().returning();
  return rows[0] ?? null;
}
