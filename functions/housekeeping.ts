/**
 * What has to be done now and then, on Workers by the cron trigger, on Node by a timer.
 *
 * Guarantees: however many handlers begin at once, one does it and the others leave at once; what one part cannot do keeps no
 * other part from being done; running it again changes nothing.
 */
import { sql } from 'drizzle-orm';
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

/** Key of the advisory lock, the same in every process. */
const LOCK = 7236428101;

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
  const alone = async <T>(part: string, work: (tx: Queryable) => Promise<T>): Promise<T | undefined> => {
    try {
      return await db.transaction(async (tx) => ((await takeTurn(tx)) ? work(tx) : undefined));
    } catch (error) {
      failed.push(part);
      log('error', 'housekeeping failed in part', { part, code: toRefloatError(error).code });
      return undefined;
    }
  };
  for (const table of PRUNED_TABLES) removed[table] = (await alone(table, (tx) => prune(tx, table))) ?? 0;
  const alarms = (await alone('leases', raiseLeaseAlarms)) ?? [];
  for (const alarm of alarms)
    log(
      'warn',
      'a lease has run out: the agent of this host does not answer; nobody else takes the intent over',
      alarm,
    );
  const ended = (await alone('undo windows', endAndAudit)) ?? [];
  const auditHead = (await alone('audit head', readAuditHead)) ?? null;
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

async function takeTurn(db: Queryable): Promise<boolean> {
  const [row] = await db.execute<{ mine: boolean }>(sql`select pg_try_advisory_xact_lock(${LOCK}) as mine`);
  return row?.mine === true;
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
