import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { people } from '../schema/people.ts';
import type { PersonRow } from './insert-person.ts';

/** Whatever the case of the name. */
export async function findPersonByName(db: Queryable, name: string): Promise<PersonRow | null> {
  const rows = await db.select().from(people).where(sql`lower(${people.name}) = lower(${name})`);
  return rows[0] ?? null;
}
