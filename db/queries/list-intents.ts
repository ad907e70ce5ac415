import { and, desc, eq, inArray, lt, type SQL } from 'drizzle-orm';
import { isAnyOf } from '../any-of.ts';
import type { Queryable } from '../client.ts';
import type { IntentKind, IntentState } from '../intent-state.ts';
import { intents } from '../schema/intents.ts';
import { workloads } from '../schema/workloads.ts';
import type { IntentRow } from './insert-intent.ts';

export interface IntentFilter {
  readonly workloadIds?: readonly string[];
  /** Only intents of workloads that are in these now. */
  readonly projects?: readonly string[];
  readonly hostId?: string;
  readonly kinds?: readonly IntentKind[];
  readonly states?: readonly IntentState[];
  /** Only intents that sort after this one: ids are UUIDv7, so they sort by creation. */
  readonly beforeId?: string;
  readonly limit: number;
}

/** Newest first. */
export async function listIntents(db: Queryable, filter: IntentFilter): Promise<IntentRow[]> {
  const conditions: SQL[] = [];
  if (filter.workloadIds !== undefined) conditions.push(isAnyOf(intents.workloadId, filter.workloadIds));
  if (filter.projects !== undefined) {
    const own = db.select({ id: workloads.id }).from(workloads).where(isAnyOf(workloads.project, filter.projects));
    conditions.push(inArray(intents.workloadId, own));
  }
  if (filter.hostId !== undefined) conditions.push(eq(intents.hostId, filter.hostId));
  if (filter.kinds !== undefined) conditions.push(isAnyOf(intents.kind, filter.kinds));
  if (filter.states !== undefined) conditions.push(isAnyOf(intents.state, filter.states));
  if (filter.beforeId !== undefined) conditions.push(lt(intents.id, filter.beforeId));
  return db
    .select()
    .from(intents)
    .where(and(...conditions))
    .orderBy(desc(intents.id))
    .limit(filter.limit);
}
