import type { Progress } from '../results.ts';
import { type AgentSql, type Holder, jsonText } from './agent-statement.ts';

/** The step under way and how far it is; only the latest figures are kept. False: the lease is lost. */
export async function updateProgress(
  sql: AgentSql,
  holder: Holder,
  step: string | null,
  progress: Progress | null,
): Promise<boolean> {
  const rows = await sql`
    update intents set step = ${step}, progress = ${progress === null ? null : jsonText(progress)}::text::jsonb
    where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      and state in ('claimed', 'running')
    returning id`;
  return rows.length === 1;
}
