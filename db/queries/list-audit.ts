import { desc, lt } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { audit } from '../schema/audit.ts';
import type { AuditRow } from './insert-audit.ts';

/** Newest first, only rows before `beforeSeq`. */
export async function listAudit(db: Queryable, beforeSeq: number | undefined, limit: number): Promise<AuditRow[]> {
  return db
    .select()
    .from(audit)
    .where(beforeSeq === undefined ? undefined : lt(audit.seq, beforeSeq))
    .orderBy(desc(audit.seq))
    .limit(limit);
}
