import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { passkeys } from '../schema/passkeys.ts';
import type { PasskeyRow } from './insert-passkey.ts';

/** Locked until the end of the transaction, so that of two uses at once the second one sees the counter of the first. */
export async function findPasskeyForUse(db: Queryable, id: string): Promise<PasskeyRow | null> {
  const rows = await db.select().from(passkeys).where(eq(passkeys.id, id)).for('update');
  return rows[0] ?? null;
}
