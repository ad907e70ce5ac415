import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';

export async function issuerExists(db: Queryable, id: string): Promise<boolean> {
  return (await db.select({ id: issuers.id }).from(issuers).where(eq(issuers.id, id))).length === 1;
}
