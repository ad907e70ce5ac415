/**
 * What an agent does beside intents: it ends undo windows that are over, or early where a disk runs low, and says so; and it registers
 * what was imported at the command line.
 * Nothing here fails an agent; it is tried again.
 */
import { tellHoldEnded } from '../../db/queries/tell-hold-ended.ts';
import type { AgentDeps } from '../deps.ts';
import { registerWaiting } from '../import/import-spool.ts';
import { readJournals } from '../restore/journal-dir.ts';
import { releaseForSpace } from '../restore/low-disk.ts';
import { releaseExpired } from '../restore/release.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Bell } from './bell.ts';
import { listSpools } from './spool.ts';

const HOUSEKEEPING_MS = 30_000;

export interface HouseOptions {
  readonly deps: AgentDeps;
  readonly database: AgentDatabase;
  readonly hostId: string;
}

export async function keepHouse(options: HouseOptions, signal: AbortSignal): Promise<void> {
  const { deps, database, hostId } = options;
  const { stateDir } = deps.config;
  const imports = { database, hostId, stateDir, store: snapshotStore(stateDir) };
  const told = new Set<string>();
  const attempt = async (what: string, work: Promise<unknown>) =>
    work.catch((error: unknown) => deps.log.error({ error: asRefloatError(error).toJSON() }, `${what} failed`));
  while (!signal.aborted) {
    await attempt('ending undo windows', releaseExpired(deps));
    await attempt('making room', releaseForSpace(deps));
    await attempt('telling of ended windows', tellAll(options, told));
    await attempt('registering imports', registerWaiting(imports, deps.log));
    await new Bell().wait(HOUSEKEEPING_MS, signal);
  }
}

/** From the journals, so that what was not told when the agent ended is told by the next one. */
async function tellAll({ deps, database, hostId }: HouseOptions, told: Set<string>): Promise<void> {
  // An event of this takes the number behind the last one that Postgres has: not before all others are there.
  const waiting = new Set(listSpools(deps.config.stateDir));
  for (const { intentId, state } of readJournals(deps.config.stateDir)) {
    if (state?.released !== 'low-disk' || told.has(intentId) || waiting.has(intentId)) continue;
    await database.attempt((sql) => tellHoldEnded(sql, hostId, intentId, deps.now().toISOString()));
    told.add(intentId);
  }
}
