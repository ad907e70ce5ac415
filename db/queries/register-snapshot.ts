import type { SnapshotRecord } from '../results.ts';
import { type AgentSql, type Holder, jsonText } from './agent-statement.ts';

/**
 * Makes a published snapshot known; one that is known already is left as it is. False: the lease is lost.
 * Its volumes follow with `registerSnapshotVolumes` in the same transaction: row-level security lets a host add volumes to
 * a snapshot that it sees, and a statement does not see its own inserts.
 */
export async function registerSnapshot(sql: AgentSql, holder: Holder, snapshot: SnapshotRecord): Promise<boolean> {
  const rows = await sql<{ held: boolean }[]>`
    with held as materialized (
      select id, host_id, workload_id from intents
      where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      for share
    ), added as (
      insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at, protected_until, origin)
      select ${snapshot.id}, held.workload_id, held.host_id, held.id, ${snapshot.kind}, ${snapshot.manifestSha256}, ${snapshot.image},
        ${snapshot.imageId}, ${snapshot.capturedAt}::text::timestamptz, ${snapshot.protectedUntil}::text::timestamptz,
        ${originText(snapshot)}::text::jsonb
      from held
      on conflict (id) do nothing
    )
    select exists (select from held) as held`;
  return rows[0]?.held === true;
}

/**
 * The same for a snapshot that was imported at the host's own command line, without an intent. Row-level security holds it to workloads
 * of this host; the audit row is written by the database itself.
 */
export async function registerImport(sql: AgentSql, hostId: string, snapshot: SnapshotRecord): Promise<void> {
  await sql`
    insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at, origin)
    values (${snapshot.id}, ${snapshot.workloadId}, ${hostId}, ${snapshot.intentId}, 'imported', ${snapshot.manifestSha256},
      ${snapshot.image}, ${snapshot.imageId}, ${snapshot.capturedAt}::text::timestamptz, ${originText(snapshot)}::text::jsonb)
    on conflict (id) do nothing`;
}

function originText({ origin }: SnapshotRecord): string | null {
  return origin === undefined ? null : jsonText(origin);
}

/** The archives of a snapshot that `registerSnapshot` or `registerImport` made known. */
export async function registerSnapshotVolumes(
  sql: AgentSql,
  holder: Pick<Holder, 'hostId' | 'intentId'>,
  snapshot: SnapshotRecord,
): Promise<void> {
  await sql`
    insert into snapshot_volumes (snapshot_id, host_id, name, scope, archive_sha256, archive_bytes, content_bytes, entries, skipped)
    select s.id, s.host_id, volume.name, volume.scope, volume."archiveSha256", volume."archiveBytes", volume."contentBytes",
      volume.entries, volume.skipped
    from snapshots s cross join jsonb_to_recordset(${jsonText(snapshot.volumes)}::text::jsonb) as volume (
      name text, scope text, "archiveSha256" text, "archiveBytes" bigint, "contentBytes" bigint, entries bigint, skipped integer)
    where s.id = ${snapshot.id} and s.host_id = ${holder.hostId} and s.intent_id = ${holder.intentId}
    on conflict do nothing`;
}
