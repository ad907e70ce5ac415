import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { people } from '../schema/people.ts';
import type { PersonRow } from './insert-person.ts';

export async function findPerson(db: Queryable, id: string): Promise<PersonRow | null> {
  const rows = await db.select().from(people).where(eq(people.id, id));
  return rows[0] ?? null;
}
