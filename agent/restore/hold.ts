/**
 * The previous trees that restores hold for their undo window: which there are, handing them to an undo, and their end.
 *
 * Guarantees: a held tree is removed only after its window, or when the disk runs low (low-disk.ts), and only if a verified pre-restore
 * snapshot has the same data.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import type { AgentDeps } from '../deps.ts';
import { identify, removeEmptyDirectory } from '../fs/durable.ts';
import { removeTree } from '../fs/remove-tree.ts';
import { readRootMetadata, writeRootMetadata } from '../fs/root-metadata.ts';
import type { VolumeTarget } from '../fs/volume-path.ts';
import type { Target } from './facts.ts';
import { Journal, type Released } from './journal.ts';
import { heldTrees, isUnfinished, journalPath, readJournal, readJournals, removeJournal } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';

/** Journals of finished intents are kept this long, so that a claim that was forgotten finds its recorded result. */
const KEEP_JOURNALS_MS = 30 * 86_400_000;

/**
 * The targets of an undo from the trees that the undone intent holds; null unless every one of them is there and still
 * belongs to where its volume lives by the current configuration.
 */
export function heldTargets(
  deps: AgentDeps,
  undoneIntentId: string,
  workloadId: string,
  volumes: readonly VolumeTarget[],
): Target[] | null {
  const { state } = readJournal(deps.config.stateDir, undoneIntentId);
  if (state === null || state.intent.workload.id !== workloadId) return null;
  const held = heldTrees(state);
  const previousTargets = state.facts.get('preflight') as { targets: readonly Target[] } | undefined;
  const targets = held.map((tree): Target | null => {
    const volume = volumes.find((candidate) => candidate.name === tree.volume);
    const before = previousTargets?.targets.find((target) => target.volume === tree.volume);
    if (volume === undefined || before === undefined || volume.live !== tree.live || identify(tree.previous) === null)
      return null;
    return {
      ...before,
      mountedAt: volume.target,
      shared: volume.shared,
      existed: volume.exists,
      staging: tree.previous,
      archive: null,
    };
  });
  if (targets.length === 0 || targets.includes(null)) return null;
  return targets.filter((target) => target !== null);
}

/** Records that an intent's held trees are gone or belong to another intent now. Idempotent. */
export function markReleased(deps: AgentDeps, intentId: string, why: Released, by?: string): void {
  const journal = Journal.open(journalPath(deps.config.stateDir, intentId), intentId, deps.now);
  try {
    if (journal.records.some((record) => record.type === 'released')) return;
    journal.append({ type: 'released', why, ...(by === undefined ? {} : { by }) });
  } finally {
    journal.close();
  }
}

/** Says of undone intents what a disk that failed at the end of the undo kept from being said: that their trees are the undo's now. */
export function finishAdoptions(deps: AgentDeps, journals = readJournals(deps.config.stateDir)): void {
  for (const { intentId, state } of journals) {
    const preflight = state?.facts.get('preflight') as { adoptedFrom?: string | null } | undefined;
    const undone = journals.find((entry) => entry.intentId === preflight?.adoptedFrom);
    if (state?.outcome?.state !== 'succeeded' || undone?.state == null || heldTrees(undone.state).length === 0)
      continue;
    try {
      markReleased(deps, undone.intentId, 'adopted', intentId);
    } catch (thrown) {
      deps.log.error(
        { intentId: undone.intentId, error: toRefloatError(thrown).toJSON() },
        'its trees are still named twice',
      );
    }
  }
}

/** Ends the undo windows that are over, under the workload's lock, and forgets journals that nobody needs any more. */
export async function releaseExpired(deps: AgentDeps): Promise<void> {
  const journals = readJournals(deps.config.stateDir);
  finishAdoptions(deps, journals);
  for (const { intentId, state } of journals) {
    if (state === null || isUnfinished(state)) continue;
    if (heldTrees(state).length > 0) {
      if (!isExpired(deps, state)) continue;
      await deps.locks
        .withWorkloadLock(state.intent.workload.id, () => release(deps, intentId, 'expired'))
        .catch((thrown: unknown) => {
          deps.log.error({ intentId, error: toRefloatError(thrown).toJSON() }, 'a previous tree could not be removed');
        });
    } else if (deps.now().getTime() - Date.parse(state.beganAt) > KEEP_JOURNALS_MS) {
      removeJournal(deps.config.stateDir, intentId);
    }
  }
}

function isExpired(deps: AgentDeps, state: JournalState): boolean {
  const until = state.outcome?.result?.undoUntil;
  return until !== undefined && Date.parse(until) <= deps.now().getTime();
}

/**
 * Removes the previous trees of an intent, under its workload's lock; false if there is something in the way.
 * @param by an intent of the workload that is under way and needs the room
 */
export async function release(
  deps: AgentDeps,
  intentId: string,
  why: 'expired' | 'low-disk',
  by?: string,
): Promise<boolean> {
  const journals = readJournals(deps.config.stateDir);
  const state = journals.find((entry) => entry.intentId === intentId)?.state;
  if (state === null || state === undefined || heldTrees(state).length === 0) return false;
  const unfinished = journals.some(
    (entry) =>
      entry.damage !== null ||
      (entry.intentId !== by &&
        entry.state !== null &&
        isUnfinished(entry.state) &&
        entry.state.intent.workload.id === state.intent.workload.id),
  );
  if (unfinished) return false;
  if (state.outcome?.result?.preRestoreSnapshotId === undefined) {
    throw new RefloatError(
      'PREVIOUS_GONE',
      `the previous trees of ${intentId} have no pre-restore snapshot, so they stay`,
      {
        hint: 'Capture the workload or remove the trees by hand; "refloat-agent status" names them.',
        disposition: 'fail',
      },
    );
  }
  const targets = (state.facts.get('preflight') as { targets: readonly Target[] } | undefined)?.targets ?? [];
  for (const tree of heldTrees(state)) {
    const target = targets.find((candidate) => candidate.volume === tree.volume);
    await removeTree(tree.previous);
    if (target === undefined) continue;
    const root = target.mountPoint ? readRootMetadata(target.live) : null;
    removeEmptyDirectory(target.privateDirectory);
    // Removing it moved the time of the mount point's root, which is the user's.
    if (root !== null) writeRootMetadata(target.live, root);
  }
  markReleased(deps, intentId, why);
  return true;
}
