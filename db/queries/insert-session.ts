import type { PgInsertValue } from 'drizzle-orm/pg-core';
import type { Queryable } from '../client.ts';
import { sessions } from '../schema/sessions.ts';

export async function insertSession(db: Queryable, session: PgInsertValue<typeof sessions>): Promise<void> {
  await db.insert(sessions).values(session);
}
