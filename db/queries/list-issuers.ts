import { asc } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';
import type { IssuerRow } from './find-issuer.ts';

/** By name. */
export async function listIssuers(db: Queryable): Promise<IssuerRow[]> {
  return db.select().from(issuers).orderBy(asc(issuers.name));
}
