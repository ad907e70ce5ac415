import type { AgentSql, Holder } from './agent-statement.ts';

/** The files of a snapshot are gone from the host. False: the lease is lost, or the intent is not about this snapshot. */
export async function markSnapshotDeleted(sql: AgentSql, holder: Holder, snapshotId: string): Promise<boolean> {
  const rows = await sql`
    update snapshots s set state = 'deleted', deleted_at = coalesce(s.deleted_at, now())
    from intents i
    where s.id = ${snapshotId} and s.host_id = ${holder.hostId}
      and i.id = ${holder.intentId} and i.host_id = ${holder.hostId} and i.lease_epoch = ${holder.leaseEpoch}
      and i.snapshot_id = s.id and i.workload_id = s.workload_id
    returning s.id`;
  return rows.length === 1;
}
