import { eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { passkeys } from '../schema/passkeys.ts';

/** It was used: keeps its counter for the next time. */
export async function touchPasskey(
  db: Queryable,
  id: string,
  facts: { readonly counter: number; readonly backedUp: boolean },
): Promise<void> {
  await db
    .update(passkeys)
    .set({ ...facts, lastUsedAt: sql`now()` })
    .where(eq(passkeys.id, id));
}
