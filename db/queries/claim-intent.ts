import type { IntentKind, IntentState } from '../intent-state.ts';
import type { SnapshotKind } from '../results.ts';
import type { IntentParams } from '../schema/intents.ts';
import { type AgentSql, LEASE_SECONDS, written } from './agent-statement.ts';

/** Largest configuration that is taken: what the API's largest body is, as Postgres writes it. */
const MAX_JSON_BYTES = 2 * 1024 * 1024;
/** Numbers of events from here on are nobody's: an agent counts from 1. */
const MAX_EVENTS = 1_000_000_000;

/** A snapshot as the claim read it. */
export interface ClaimedSnapshotRow {
  readonly id: string;
  readonly workloadId: string;
  readonly kind: SnapshotKind;
  readonly manifestSha256: string;
  readonly protectedUntil: string | null;
}

/** What a claim returns; the configuration is not parsed yet. */
export interface ClaimedRow {
  readonly id: string;
  readonly kind: IntentKind;
  readonly state: IntentState;
  readonly leaseEpoch: number;
  readonly attempts: number;
  readonly params: IntentParams;
  readonly requestedBy: string;
  /** Past `not_after` by the database's clock. */
  readonly expired: boolean;
  readonly cancelRequested: boolean;
  readonly workloadId: string;
  readonly workloadVersion: number;
  readonly config: unknown;
  /** Number of the last event that the database has. */
  readonly lastSeq: number;
  readonly snapshotId: string | null;
  readonly snapshot: ClaimedSnapshotRow | null;
  readonly undoOf: string | null;
  readonly preRestoreSnapshot: ClaimedSnapshotRow | null;
}

const SNAPSHOT = `jsonb_build_object('id', s.id, 'workloadId', s.workload_id, 'kind', s.kind,
  'manifestSha256', s.manifest_sha256, 'protectedUntil', s.protected_until)`;
/** Null instead of more than the agent would hold in its memory. */
const bounded = (column: string) => `case when octet_length(${column}::text) <= ${MAX_JSON_BYTES} then ${column} end`;

/**
 * The select behind `with … claimed`: the claimed intents with workload, snapshot, and what an undo takes back. The snapshots are
 * looked up one by one, by their keys: as joins they are scanned for the host's, while the table is small or not analyzed yet.
 */
const CLAIMED_ROWS = `
  select c.id, c.kind, c.state, c.lease_epoch::float8 as "leaseEpoch", c.attempts, ${bounded('c.params')} as params, c.requested_by as "requestedBy",
    coalesce(c.not_after < now(), false) as expired, c.cancel_requested_at is not null as "cancelRequested",
    c.workload_id as "workloadId", w.version as "workloadVersion", ${bounded('w.config')} as config, c.snapshot_id as "snapshotId", c.undo_of as "undoOf",
    (select coalesce(max(e.seq), 0) from intent_events e where e.intent_id = c.id and e.seq < ${MAX_EVENTS}) as "lastSeq",
    case when c.snapshot_id is not null then (
      select ${SNAPSHOT} from snapshots s where s.id = c.snapshot_id and s.state = 'complete'
    ) end as snapshot,
    case when c.undo_of is not null then (
      select ${SNAPSHOT} from snapshots s
      where s.workload_id = c.workload_id and s.intent_id = c.undo_of and s.kind = 'pre-restore' and s.state = 'complete'
      order by s.created_at limit 1
    ) end as "preRestoreSnapshot"
  from claimed c
  join workloads w on w.id = c.workload_id
  order by c.created_at, c.id`;

/**
 * Takes intents anew that this host has claimed before, under a new epoch; the values are host, those of `which`, host, instance.
 * @param which condition on `i`
 */
export const takenAnew = (which: string): TemplateStringsArray =>
  written(`
  with claimed as (
    update intents i
    set lease_epoch = i.lease_epoch + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = i.attempts + 1
    where i.host_id = ? and ${which}
      and exists (select from hosts h where h.id = ? and h.agent_instance = ? and h.revoked_at is null)
    returning i.*
  )
  ${CLAIMED_ROWS}`);

/** `claimed_at` is not its transaction's beginning: a claimer that was held up would seem to have claimed before its predecessors. */
const CLAIM = written(`
  with next as materialized (
    select c.id from intents c
    where c.host_id = ? and c.state = 'pending'
      and exists (select from hosts h where h.id = ? and h.agent_instance = ? and h.revoked_at is null)
      and (select set_config('synchronous_commit', 'off', true)) = 'off'
      and not exists (
        select from intents u where u.workload_id = c.workload_id and u.state in ('claimed', 'running') and u.kind <> 'plan'
      )
    order by c.created_at, c.id
    limit 1
    for update of c skip locked
  ), claimed as (
    update intents i
    set state = 'claimed', lease_epoch = i.lease_epoch + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}),
      attempts = i.attempts + 1, claimed_at = clock_timestamp()
    where i.id = (select id from next)
    returning i.*
  )
  ${CLAIMED_ROWS}`);

/**
 * Claims this host's oldest pending intent, with everything that its work needs from the database; null if there is none.
 *
 * `skip locked` lets several claimers work side by side without waiting and without taking one intent twice. An intent of
 * a workload that has one under way waits, unless that is a plan, which changes nothing. `instance` must be the agent that holds the host: an agent that another one
 * replaced claims nothing.
 *
 * Postgres does not wait for its disk: who has claimed says next that it begins, and that waits for both. A crash of Postgres in between
 * leaves the intent pending, as a failover may; nobody but this agent could take it.
 */
export async function claimIntent(sql: AgentSql, hostId: string, instance: string): Promise<ClaimedRow | null> {
  const rows = await sql<ClaimedRow[]>(CLAIM, hostId, hostId, instance);
  return rows[0] ?? null;
}
