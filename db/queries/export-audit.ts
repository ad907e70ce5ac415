import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { AuditRow } from './insert-audit.ts';

/** An entry with the very text that its hash is of, so that whoever has the lines can check the chain without a database. */
export interface AuditLine extends Omit<AuditRow, 'at'> {
  readonly at: string;
  readonly hashed: string;
}

/** In the order of the chain, only rows after `afterSeq`. The text is made from the row as it is now, not as it was. */
export async function exportAudit(db: Queryable, afterSeq: number, limit: number): Promise<AuditLine[]> {
  const rows = await db.execute<{ line: string | AuditLine }>(sql`
    select jsonb_build_object('seq', seq, 'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'actor', actor, 'action', action,
      'target', target, 'outcome', outcome, 'code', code, 'details', details, 'requestId', request_id, 'prevHash', prev_hash, 'hash', hash,
      'hashed', jsonb_build_array(prev_hash, seq, extract(epoch from at)::text, actor, action, target, outcome, code, details, request_id)::text) as line
    from audit where seq > ${afterSeq} order by seq limit ${limit}`);
  return rows.map(({ line }) => (typeof line === 'string' ? (JSON.parse(line) as AuditLine) : line));
}
