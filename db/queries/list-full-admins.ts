import { and, asc, eq, isNull } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { people } from '../schema/people.ts';

/** Ids of admins without a limit, locked until the end of the transaction: two that demote each other at once do not both succeed. */
export async function listFullAdmins(db: Queryable): Promise<string[]> {
  const rows = await db
    .select({ id: people.id })
    .from(people)
    .where(and(eq(people.role, 'admin'), isNull(people.projects), isNull(people.disabledAt)))
    .orderBy(asc(people.id))
    .for('update');
  return rows.map((row) => row.id);
}
