import type { Queryable } from '../client.ts';
import { passkeys } from '../schema/passkeys.ts';

export type PasskeyRow = typeof passkeys.$inferSelect;

/** Null if this credential is registered already, by whomever. */
export async function insertPasskey(db: Queryable, passkey: typeof passkeys.$inferInsert): Promise<PasskeyRow | null> {
  const rows = await db.insert(passkeys).values(passkey).onConflictDoNothing().returning();
  return rows[0] ?? null;
}
