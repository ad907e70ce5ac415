import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

export interface MetricRow extends Record<string, unknown> {
  readonly metric: 'intents' | 'hosts' | 'oldest_pending_seconds' | 'expired_leases' | 'snapshots';
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Every figure of /metrics in one look at the database. A host counts as seen when its agent wrote within two minutes. */
export async function readMetrics(db: Queryable): Promise<MetricRow[]> {
  return db.execute<MetricRow>(sql`
    select 'intents' as metric, jsonb_build_object('kind', kind, 'state', state) as labels, count(*)::float8 as value
      from intents group by kind, state
    union all select 'hosts', jsonb_build_object('state', case when revoked_at is not null then 'revoked'
      when agent_seen_at > now() - interval '2 minutes' then 'seen' when agent_seen_at is null then 'new' else 'silent' end), count(*)::float8
      from hosts group by 2
    union all select 'oldest_pending_seconds', '{}', coalesce(extract(epoch from now() - min(created_at)), 0)::float8
      from intents where state = 'pending'
    union all select 'expired_leases', '{}', count(*)::float8
      from intents where state in ('claimed', 'running') and lease_until < now()
    union all select 'snapshots', jsonb_build_object('kind', kind), count(*)::float8
      from snapshots where state = 'complete' group by kind`);
}
