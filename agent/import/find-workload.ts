/**
 * A workload of this host for the command line: from Postgres, or, while it is away, from what this host knows itself.
 */
import { RefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import { ownWorkloads } from '../../db/queries/own-workloads.ts';
import { WORKLOAD_CONFIG, type WorkloadConfig } from '../../db/workload.ts';
import { type AgentDatabase, asRefloatError } from '../claim/agent-database.ts';
import { readJournals } from '../restore/journal-dir.ts';

export interface FoundWorkload {
  readonly id: string;
  readonly config: WorkloadConfig;
}

/** @param name or id. @throws RefloatError `WORKLOAD_NOT_FOUND` */
export async function findWorkload(
  database: AgentDatabase | null,
  stateDir: string,
  name: string,
  onAway: (error: RefloatError) => void,
): Promise<FoundWorkload> {
  const is = (workload: FoundWorkload): boolean =>
    workload.config.name === name || (isUuid(name) && workload.id === name);
  let answered = false;
  if (database !== null) {
    try {
      const found = (await fromDatabase(database)).find(is);
      if (found !== undefined) return found;
      answered = true;
    } catch (thrown) {
      const error = asRefloatError(thrown);
      if (error.code !== 'DATABASE_UNAVAILABLE') throw error;
      onAway(error);
    }
  }
  // The newest journal that names it has its newest configuration.
  const known = answered ? undefined : fromJournals(stateDir).findLast(is);
  if (known !== undefined) return known;
  throw new RefloatError('WORKLOAD_NOT_FOUND', `this host has no workload "${name}"`, {
    hint: answered
      ? 'See "refloat workloads ls" for the names, and on which host each one is.'
      : 'The database was not asked. Enrol this host, or run this again when the database is back.',
    details: { usage: true },
  });
}

async function fromDatabase(database: AgentDatabase): Promise<FoundWorkload[]> {
  const rows = await database.attempt((sql) => ownWorkloads(sql));
  return rows.flatMap(({ id, config }) => {
    const parsed = WORKLOAD_CONFIG.safeParse(config);
    return parsed.success ? [{ id, config: parsed.data }] : [];
  });
}

function fromJournals(stateDir: string): FoundWorkload[] {
  return readJournals(stateDir).flatMap(({ state }) => (state === null ? [] : [state.intent.workload]));
}
