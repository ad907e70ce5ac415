/**
 * Everything that is put right before anything is claimed, and before any deploy: unfinished journals, deploys that did not
 * end, snapshots that were half made. Works without the control plane; what it has to say is spooled.
 */
import { type RefloatError, toRefloatError } from '../db/errors.ts';
import type { Outcome } from '../db/results.ts';
import { listSpools, Spool } from './claim/spool.ts';
import { SpooledControl } from './claim/spooled-control.ts';
import { findDeploysToRepair, removeAsides, repairDeploy } from './deploy/repair-deploy.ts';
import { intentMark, parseSetAside } from './deploy/set-aside.ts';
import type { AgentDeps } from './deps.ts';
import { removeTree } from './fs/remove-tree.ts';
import { isBeingImported } from './import/import-snapshot.ts';
import { finishAdoptions } from './restore/hold.ts';
import { Journal } from './restore/journal.ts';
import { isUnfinished, journalPath, readJournal, readJournals } from './restore/journal-dir.ts';
import { reduceJournal } from './restore/journal-state.ts';
import { type Recovered, recover } from './restore/recovery.ts';
import { finishReleases } from './restore/release.ts';
import { removeLeftovers, snapshotStore } from './snapshots/store.ts';

export interface RecoveredHost {
  readonly intents: readonly Recovered[];
  /** Workloads whose unfinished deploy was finished or taken back. */
  readonly repaired: readonly { readonly workloadId: string; readonly error: RefloatError | null }[];
}

/** Only under the host lock. @throws RefloatError the engine's codes, when it cannot be asked about unfinished deploys */
export async function recoverHost(deps: AgentDeps): Promise<RecoveredHost> {
  const spools = new Map<string, Spool>();
  const spoolOf = (intentId: string): Spool => {
    const spool = spools.get(intentId) ?? Spool.open(deps.config.stateDir, intentId);
    spools.set(intentId, spool);
    return spool;
  };
  try {
    const intents = await recover(deps, (intentId) => new SpooledControl(spoolOf(intentId), deps.now));
    for (const recovered of intents) spoolOutcome(spoolOf(recovered.intentId), recovered);
    correctStuck(deps, spoolOf);
    finishAdoptions(deps);
    await finishReleases(deps);
    const repaired = await repairDeploys(deps);
    await removeReplaced(deps);
    await removeHalfMade(deps);
    await removeUnknownSnapshots(deps);
    return { intents, repaired };
  } finally {
    for (const spool of spools.values()) spool.close();
  }
}

/**
 * Pre-restore snapshots that were published by a restore whose outcome does not name them: the disk failed in between, and refused
 * their removal, too. Nobody was ever told of them. Not those of an intent that a person ended: whatever it is, it may be the last copy.
 */
async function removeUnknownSnapshots(deps: AgentDeps): Promise<void> {
  const store = snapshotStore(deps.config.stateDir);
  for (const { state } of readJournals(deps.config.stateDir)) {
    if (state === null || isUnfinished(state) || state.outcome?.error?.code === 'RESOLVED') continue;
    const id = state.facts.get('preRestoreSnapshotId');
    if (typeof id !== 'string' || state.outcome?.result?.preRestoreSnapshotId === id) continue;
    await removeTree(store.directoryOf(id)).catch((thrown: unknown) => {
      const error = toRefloatError(thrown).toJSON();
      deps.log.error({ snapshotId: id, error }, 'a snapshot that nobody was told of could not be removed');
    });
  }
}

/** Containers that a restore replaced, and could not remove at its end. One that still cannot be removed keeps nothing else from its work. */
async function removeReplaced(deps: AgentDeps): Promise<void> {
  const over = new Set<string>();
  for (const { state } of readJournals(deps.config.stateDir))
    if (state?.outcome?.state === 'succeeded') over.add(`${state.intent.workload.id} ${intentMark(state.intent.id)}`);
  const replaced = (await deps.engine.list()).filter(({ name }) => {
    const was = parseSetAside(name);
    return was?.by === 'restore' && over.has(`${was.workloadId} ${was.intent}`);
  });
  for (const container of replaced) {
    await removeAsides(deps.engine, [container]).catch((thrown: unknown) => {
      const error = toRefloatError(thrown).toJSON();
      deps.log.error({ container: container.name, error }, 'a replaced container could not be removed');
    });
  }
}

/** What cannot be removed now, on a disk that fails, is tried again at the next start. */
async function removeHalfMade(deps: AgentDeps): Promise<void> {
  const store = snapshotStore(deps.config.stateDir);
  await removeLeftovers(
    store,
    (id) => isBeingImported(store, id),
    (path, thrown) =>
      deps.log.error({ path, error: toRefloatError(thrown).toJSON() }, 'a half-made snapshot could not be removed'),
  );
}

function spoolOutcome(spool: Spool, { outcome, error }: Recovered): void {
  const reported: Outcome | null = outcome ?? (error === null ? null : { state: 'stuck', result: null, error });
  // A host that stays stuck says so once, not at every start.
  if (reported === null || (reported.state === 'stuck' && spool.outcome?.state === 'stuck')) return;
  spool.append({ type: 'finish', outcome: reported });
}

/**
 * An agent whose disk failed says `stuck`, since it does not know whether its last record is there. If it is, and says how the intent
 * ended, that is what became of it.
 */
function correctStuck(deps: AgentDeps, spoolOf: (intentId: string) => Spool): void {
  const { stateDir } = deps.config;
  for (const intentId of listSpools(stateDir)) {
    const { state } = readJournal(stateDir, intentId);
    if (state === null || isUnfinished(state) || spoolOf(intentId).outcome?.state !== 'stuck') continue;
    // Written anew first: it may be in the page cache alone.
    const journal = Journal.open(journalPath(stateDir, intentId), intentId, deps.now);
    journal.close();
    const outcome = reduceJournal(journal.records)?.outcome;
    if (outcome != null) spoolOf(intentId).append({ type: 'finish', outcome });
  }
}

async function repairDeploys(deps: AgentDeps): Promise<RecoveredHost['repaired']> {
  const repaired: { workloadId: string; error: RefloatError | null }[] = [];
  for (const workloadId of await findDeploysToRepair(deps.engine, deps.config.hostId)) {
    try {
      const done = await deps.locks.withWorkloadLock(workloadId, (lock) => repairDeploy(deps, lock, workloadId));
      deps.log.info({ workloadId, ...done }, 'an unfinished deploy was put right');
      repaired.push({ workloadId, error: null });
    } catch (thrown) {
      const error = toRefloatError(thrown);
      deps.log.error({ workloadId, error: error.toJSON() }, 'an unfinished deploy could not be put right');
      repaired.push({ workloadId, error });
    }
  }
  return repaired;
}
