import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { passkeys } from '../schema/passkeys.ts';
import type { PasskeyRow } from './insert-passkey.ts';

/** Null if this person has no such passkey. */
export async function deletePasskey(db: Queryable, id: string, personId: string): Promise<PasskeyRow | null> {
  const rows = await db
    .delete(passkeys)
    .where(and(eq(passkeys.id, id), eq(passkeys.personId, personId)))
    .returning();
  return rows[0] ?? null;
}
