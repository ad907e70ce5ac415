import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

/** The end of the audit chain. Kept elsewhere, it proves later that nothing before it was changed, and that the end was not cut. */
export interface AuditHead extends Record<string, unknown> {
  readonly seq: number;
  readonly hash: string;
}

export async function readAuditHead(db: Queryable): Promise<AuditHead | null> {
  const rows = await db.execute<AuditHead>(sql`select seq::float8 as seq, hash from audit_head`);
  return rows[0] ?? null;
}
