import type { ReportedConfiguration } from '../container-report.ts';
import { type AgentSql, jsonText } from './agent-statement.ts';

export interface ReportedContainer {
  readonly containerId: string;
  readonly workloadId: string | null;
  readonly name: string;
  readonly image: string;
  readonly imageId: string;
  readonly state: string;
  readonly health: string | null;
  readonly restartPolicy: string;
  readonly startedAt: string | null;
  /** Of one that is no workload's; null when there is nothing to be told. */
  readonly configuration: ReportedConfiguration | null;
}

/**
 * Replaces the host's inventory. A workload that is not one of this host's is left out: two hosts may share an engine. False: another agent holds the host now, and
 * nothing was written.
 */
export async function reportContainers(
  sql: AgentSql,
  hostId: string,
  instance: string,
  containers: readonly ReportedContainer[],
): Promise<boolean> {
  const rows = await sql<{ held: boolean }[]>`
    with held as materialized (
      select id from hosts where id = ${hostId} and agent_instance = ${instance} for share
    ), incoming as (
      select * from jsonb_to_recordset(${jsonText(containers)}::text::jsonb) as container (
        "containerId" text, "workloadId" uuid, name text, image text, "imageId" text, state text, health text,
        "restartPolicy" text, "startedAt" timestamptz, configuration jsonb)
    ), gone as (
      select forget_containers(array(select n."containerId" from incoming n)) as containers from held
    ), kept as (
      insert into containers (host_id, container_id, workload_id, name, image, image_id, state, health, restart_policy, started_at, configuration, reported_at)
      select held.id, n."containerId", (select w.id from workloads w where w.id = n."workloadId"), n.name, n.image, n."imageId", n.state, n.health, n."restartPolicy", n."startedAt", nullif(n.configuration, 'null'::jsonb), now()
      from held cross join incoming n
      on conflict (host_id, container_id) do update
      set workload_id = excluded.workload_id, name = excluded.name, image = excluded.image, image_id = excluded.image_id,
        state = excluded.state, health = excluded.health, restart_policy = excluded.restart_policy,
        started_at = excluded.started_at, configuration = excluded.configuration, reported_at = excluded.reported_at
    )
    select exists (select from held) as held, (select containers from gone)`;
  return rows[0]?.held === true;
}
