import type { AgentSql } from './agent-statement.ts';

/** An agent that was not seen for this long no longer holds its host. Three missed heartbeats and a margin. */
export const HOST_SILENCE_SECONDS = 60;

export interface AgentIdentity {
  /** Made anew at each start. */
  readonly instance: string;
  /** Boot id, PID namespace, PID and start time of the process: says whether a predecessor on this machine still lives. */
  readonly bootId: string;
  readonly version: string;
}

export interface HostHolder {
  readonly instance: string | null;
  readonly bootId: string | null;
  /** Text of the time at which it was last seen; changes with every heartbeat. */
  readonly seenAt: string | null;
  readonly revoked: boolean;
}

/**
 * Takes the host for this agent: when nobody holds it, its holder was silent for a minute, or its holder is the process
 * `predecessor`, of which the caller knows that it is dead. True if it is ours now.
 */
export async function holdHost(
  sql: AgentSql,
  hostId: string,
  agent: AgentIdentity,
  predecessor: string | null,
): Promise<boolean> {
  const rows = await sql`
    update hosts
    set agent_instance = ${agent.instance}, agent_boot_id = ${agent.bootId}, agent_version = ${agent.version}, agent_seen_at = now()
    where id = ${hostId} and revoked_at is null and (
      agent_instance is null or agent_instance = ${agent.instance} or agent_instance = ${predecessor}::text::uuid
      or agent_seen_at is null or agent_seen_at < now() - make_interval(secs => ${HOST_SILENCE_SECONDS})
    )
    returning id`;
  return rows.length === 1;
}
