import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { audit } from '../schema/audit.ts';

export type AuditRow = typeof audit.$inferSelect;
export interface AuditEntry {
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: AuditRow['outcome'];
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
}

/**
 * Adds a row to the chain; the trigger fills number, time and hashes. Must be the last statement of its transaction: it
 * holds the chain's end until the commit.
 */
export async function insertAudit(db: Queryable, entry: AuditEntry): Promise<void> {
  await db.execute(sql`
    insert into audit (actor, action, target, outcome, code, details, request_id)
    values (${entry.actor}, ${entry.action}, ${entry.target}, ${entry.outcome}, ${entry.code ?? null},
      ${JSON.stringify(entry.details ?? {})}::text::jsonb, ${entry.requestId ?? null})`);
}
