import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { intents } from '../schema/intents.ts';
import type { IntentRow } from './insert-intent.ts';

export async function findIntent(db: Queryable, id: string): Promise<IntentRow | null> {
  const rows = await db.select().from(intents).where(eq(intents.id, id));
  return rows[0] ?? null;
}
