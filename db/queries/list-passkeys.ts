import { and, asc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { ALL, behind, momentKey, type Seek } from '../page.ts';
import { passkeys } from '../schema/passkeys.ts';
import type { PasskeyRow } from './insert-passkey.ts';

/** Those of one person, oldest first. `key` is the sort key. */
export async function listPasskeys(
  db: Queryable,
  personId: string,
  seek: Seek = ALL,
): Promise<(PasskeyRow & { readonly key: string })[]> {
  const rows = await db
    .select({ passkey: passkeys, key: momentKey(passkeys.createdAt) })
    .from(passkeys)
    .where(and(eq(passkeys.personId, personId), behind('ascending', passkeys.createdAt, passkeys.id, seek)))
    .orderBy(asc(passkeys.createdAt), asc(passkeys.id))
    .limit(seek.limit);
  return rows.map(({ passkey, key }) => ({ ...passkey, key }));
}
