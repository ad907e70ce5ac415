import { asc } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { behind, type Seek } from '../page.ts';
import { issuers } from '../schema/issuers.ts';
import type { IssuerRow } from './find-issuer.ts';

/** By name. */
export async function listIssuers(db: Queryable, seek: Seek): Promise<IssuerRow[]> {
  return db
    .select()
    .from(issuers)
    .where(behind('ascending', issuers.name, issuers.id, seek))
    .orderBy(asc(issuers.name), asc(issuers.id))
    .limit(seek.limit);
}
