import { asc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { passkeys } from '../schema/passkeys.ts';
import type { PasskeyRow } from './insert-passkey.ts';

/** Those of one person, oldest first. */
export async function listPasskeys(db: Queryable, personId: string): Promise<PasskeyRow[]> {
  return db.select().from(passkeys).where(eq(passkeys.personId, personId)).orderBy(asc(passkeys.createdAt));
}
