/**
 * What has to be done now and then, on Workers by the cron trigger, on Node by a timer.
 *
 * Guarantees: however many handlers do it at once, each row is handled once; what one part cannot do keeps no other part from
 * being done; rows that a host holds locked wait for a later round; running it again changes nothing.
 */
import type { Db, Queryable } from '../db/client.ts';
import { toRefloatError } from '../db/errors.ts';
import { endUndoWindows } from '../db/queries/end-undo-windows.ts';
import { insertAudit } from '../db/queries/insert-audit.ts';
import { PRUNED_TABLES, type PrunedTable, prune } from '../db/queries/prune.ts';
import { raiseLeaseAlarms } from '../db/queries/raise-lease-alarms.ts';
import { type AuditHead, readAuditHead } from '../db/queries/read-audit-head.ts';
import type { AppDeps } from './deps.ts';

/** Also in wrangler.toml. */
export const HOUSEKEEPING_CRON = '*/5 * * * *';

export interface Housekeeping {
  /** Rows removed, by table. */
  readonly removed: Readonly<Partial<Record<PrunedTable, number>>>;
  /** Intents whose host was reported as silent just now. */
  readonly leaseAlarms: number;
  readonly undoWindowsEnded: number;
  readonly auditHead: AuditHead | null;
  readonly failed: readonly string[];
}

export async function keepHouse(db: Db, log: AppDeps['log']): Promise<Housekeeping> {
  const removed: Partial<Record<PrunedTable, number>> = {};
  const failed: string[] = [];
  const attempt = async <T>(part: string, work: (tx: Queryable) => Promise<T>): Promise<T | undefined> => {
    try {
      return await db.transaction(work);
    } catch (error) {
      failed.push(part);
      log('error', 'housekeeping failed in part', { part, code: toRefloatError(error).code });
      return undefined;
    }
  };
  for (const table of PRUNED_TABLES) removed[table] = (await attempt(table, (tx) => prune(tx, table))) ?? 0;
  const alarms = (await attempt('leases', raiseLeaseAlarms)) ?? [];
  for (const alarm of alarms)
    log(
      'warn',
      'a lease has run out: the agent of this host does not answer; nobody else takes the intent over',
      alarm,
    );
  const ended = (await attempt('undo windows', endAndAudit)) ?? [];
  const auditHead = (await attempt('audit head', readAuditHead)) ?? null;
  // In the log, so that the log proves later what the audit's end was.
  log('info', 'housekeeping', {
    removed,
    leaseAlarms: alarms.length,
    undoWindowsEnded: ended.length,
    auditHead,
    failed,
  });
  return { removed, leaseAlarms: alarms.length, undoWindowsEnded: ended.length, auditHead, failed };
}

async function endAndAudit(db: Queryable): Promise<string[]> {
  const snapshots = await endUndoWindows(db);
  if (snapshots.length > 0) {
    await insertAudit(db, {
      actor: 'refloat housekeeping',
      action: 'undoWindowsEnded',
      target: 'snapshots',
      outcome: 'succeeded',
      details: { snapshots: snapshots.slice(0, 1000), count: snapshots.length },
    });
  }
  return snapshots;
}
