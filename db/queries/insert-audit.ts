import type { Queryable } from '../client.ts';
import { runLast } from '../driver.ts';
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

const INSERT = `
  insert into audit (actor, action, target, outcome, code, details, request_id)
  values ($1, $2, $3, $4, $5, $6::text::jsonb, $7)`;

/**
 * Adds a row to the chain, with the commit of its transaction; the trigger fills number, time and hashes. It holds the chain's
 * end until then, so nothing may come behind it.
 */
export async function insertAudit(db: Queryable, entry: AuditEntry): Promise<void> {
  const { actor, action, target, outcome, code, details, requestId } = entry;
  const text = JSON.stringify(details ?? {});
  await runLast(db, INSERT, [actor, action, target, outcome, code ?? null, text, requestId ?? null]);
}
