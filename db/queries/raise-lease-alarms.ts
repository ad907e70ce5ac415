import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

export interface LeaseAlarm extends Record<string, unknown> {
  readonly intentId: string;
  readonly hostId: string;
  readonly workloadId: string;
  readonly kind: string;
}

/**
 * Intents whose lease has run out a minute ago and more, each lease once, with an audit row. Nothing else about them changes: an
 * expired lease is an alarm, never a hand-over, since only its host knows what was done there.
 * Rows that somebody holds locked are left for later.
 */
export async function raiseLeaseAlarms(db: Queryable): Promise<LeaseAlarm[]> {
  return db.execute<LeaseAlarm>(sql`
    with late as (
      update intents set lease_alarm_epoch = lease_epoch
      where id in (
        select id from intents
        where state in ('claimed', 'running') and lease_until < now() - interval '1 minute'
          and lease_alarm_epoch is distinct from lease_epoch
        for update skip locked)
      returning id, host_id, workload_id, kind, lease_epoch, lease_until
    ), audited as (
      insert into audit (actor, action, target, outcome, code, details)
      select 'refloat housekeeping', 'intent.leaseExpired', 'intent:' || id, 'failed', 'LEASE_EXPIRED',
        jsonb_build_object('kind', kind, 'workloadId', workload_id, 'hostId', host_id, 'leaseEpoch', lease_epoch, 'leaseUntil', lease_until)
      from late
    )
    select id as "intentId", host_id as "hostId", workload_id as "workloadId", kind from late`);
}
