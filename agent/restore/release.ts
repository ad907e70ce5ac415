/**
 * The end of held previous trees: after their window, or early where a disk runs low (low-disk.ts).
 *
 * Guarantees: a tree goes only if the pre-restore snapshot with the same data is there and can be read, and only if it is what the
 * intent left there. All trees of an intent are renamed away, durably, before the first file of one of them is removed: an undo finds
 * every one of them whole, or none that it may take. What a crash or an error leaves is finished at the agent's next start, and by
 * housekeeping.
 *
 * The disk, for one tree:
 *
 * | state    | `<volume>` | `.removing-<volume>`   | journal    | an undo takes |
 * |----------|------------|------------------------|------------|---------------|
 * | held     | previous   | –                      |            | the tree      |
 * | begun    | –          | previous               |            | the snapshot  |
 * | recorded | –          | previous, less and less | `released` | the snapshot  |
 * | over     | –          | –                      | `released` | the snapshot  |
 */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import type { HeldTree } from '../../db/results.ts';
import type { AgentDeps } from '../deps.ts';
import { identify, isNoSpace, removeEmptyDirectory, renameDurably, statOrNull, syncDirectory } from '../fs/durable.ts';
import { keepingTime } from '../fs/keeping-time.ts';
import { removeTree } from '../fs/remove-tree.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { crashPoint } from './crash-point.ts';
import type { Target } from './facts.ts';
import { finishAdoptions, markReleased, outermostHeld, strangersAt } from './hold.ts';
import type { Released } from './journal.ts';
import { heldTrees, isUnfinished, type JournalEntry, readJournal, readJournals, removeJournal } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';

/** Journals of finished intents are kept this long, so that a claim that was forgotten finds its recorded result. */
const KEEP_JOURNALS_MS = 30 * 86_400_000;

/** Ends the undo windows that are over, under the workload's lock, and forgets journals that nobody needs any more. */
export async function releaseExpired(deps: AgentDeps): Promise<void> {
  finishAdoptions(deps);
  await finishReleases(deps);
  for (const { intentId, state } of readJournals(deps.config.stateDir)) {
    if (state === null || isUnfinished(state)) continue;
    if (heldTrees(state).length > 0) {
      if (isExpired(deps, state)) await underLock(deps, state, () => release(deps, intentId, 'expired'));
    } else if (deps.now().getTime() - Date.parse(state.beganAt) > KEEP_JOURNALS_MS) {
      await attempt(deps, state, async () => {
        if (!hasLeftovers(state)) removeJournal(deps.config.stateDir, intentId);
      });
    }
  }
}

/** What a crash or an error left of releases that were begun, whether or not the disk is still low. */
export async function finishReleases(deps: AgentDeps): Promise<void> {
  for (const { intentId, state } of readJournals(deps.config.stateDir)) {
    if (state === null || isUnfinished(state)) continue;
    await attempt(deps, state, async () => {
      if (hasLeftovers(state)) await underLock(deps, state, () => finish(deps, intentId));
    });
  }
}

/** Before the snapshot is deleted that a held tree may not go without: the tree first, if its window is over. */
export async function releaseBeforeSnapshot(deps: AgentDeps, snapshotId: string): Promise<void> {
  for (const { intentId, state } of readJournals(deps.config.stateDir)) {
    if (state?.outcome?.result?.preRestoreSnapshotId !== snapshotId || heldTrees(state).length === 0) continue;
    if (isExpired(deps, state)) await attempt(deps, state, () => release(deps, intentId, 'expired'));
  }
}

async function underLock(deps: AgentDeps, state: JournalState, work: () => Promise<unknown>): Promise<void> {
  // Housekeeping comes again; meanwhile others, and whoever wants this workload next, are not kept waiting behind it.
  if (deps.locks.isHeld(state.intent.workload.id)) return;
  await attempt(deps, state, () => deps.locks.withWorkloadLock(state.intent.workload.id, work));
}

/** One tree that does not go keeps no other one. */
async function attempt(deps: AgentDeps, { intent }: JournalState, work: () => Promise<unknown>): Promise<void> {
  await work().catch((thrown: unknown) => {
    const error = toRefloatError(thrown).toJSON();
    deps.log.error({ intentId: intent.id, error }, 'a previous tree could not be removed');
  });
}

function isExpired(deps: AgentDeps, state: JournalState): boolean {
  const until = state.outcome?.result?.undoUntil;
  return until !== undefined && Date.parse(until) <= deps.now().getTime();
}

/**
 * Removes the previous trees of an intent, under its workload's lock; false if there is something in the way.
 * @param by an intent of the workload that is under way and needs the room
 * @throws RefloatError `PREVIOUS_GONE` (they are the last copy), `STATE_UNDECIDABLE` (something else lies there); then they stay
 */
export async function release(
  deps: AgentDeps,
  intentId: string,
  why: Extract<Released, 'expired' | 'low-disk'>,
  by?: string,
): Promise<boolean> {
  const { state } = readJournal(deps.config.stateDir, intentId);
  if (state === null || !mayGo(deps, state, by)) return false;
  for (const { tree } of outermostHeld(state)) renameAway(tree);
  let isRecorded = true;
  try {
    markReleased(deps, intentId, why);
  } catch (thrown) {
    // The trees make the room; without the record, too, no undo takes what is renamed.
    if (!isNoSpace(thrown)) throw thrown;
    isRecorded = false;
  }
  crashPoint('hold:released');
  await removeRenamed(state);
  if (!isRecorded) markReleased(deps, intentId, why);
  return true;
}

/**
 * Whether the trees that an intent holds may go now; false if there is something in the way.
 * @throws RefloatError as `release`
 */
export function mayGo(deps: AgentDeps, state: JournalState, by?: string): boolean {
  if (heldTrees(state).length === 0 || isInTheWay(readJournals(deps.config.stateDir), state, by)) return false;
  assertPreserved(deps, state);
  const [stranger] = strangersAt(state);
  if (stranger === undefined) return true;
  throw new RefloatError('STATE_UNDECIDABLE', `${stranger} is not what the intent ${state.intent.id} left there`, {
    hint: 'Nothing was removed. Look at it, and at what was resolved by hand; then remove it or put it where it belongs.',
    disposition: 'fail',
    details: { path: stranger },
  });
}

/** Another intent of the workload that is not over, or that names one of the trees as its own. */
function isInTheWay(journals: readonly JournalEntry[], state: JournalState, by: string | undefined): boolean {
  const paths = new Set(heldTrees(state).map(({ previous }) => previous));
  return journals.some((other) => {
    if (other.damage !== null) return true;
    if (other.state === null || other.intentId === state.intent.id || other.intentId === by) return false;
    if (isUnfinished(other.state)) return other.state.intent.workload.id === state.intent.workload.id;
    return heldTrees(other.state).some(({ previous }) => paths.has(previous));
  });
}

function assertPreserved(deps: AgentDeps, { intent, outcome }: JournalState): void {
  const snapshotId = outcome?.result?.preRestoreSnapshotId;
  const stay = (what: string, cause?: unknown) =>
    new RefloatError(
      'PREVIOUS_GONE',
      `the previous trees of ${intent.id} have no pre-restore snapshot${what}, so they stay`,
      {
        hint: 'Capture the workload or remove the trees by hand; "refloat-agent status" names them.',
        disposition: 'fail',
        cause,
      },
    );
  if (snapshotId === undefined) throw stay('');
  try {
    readSnapshotDirectory(snapshotStore(deps.config.stateDir).directoryOf(snapshotId));
  } catch (thrown) {
    throw stay(` that can be read (${toRefloatError(thrown).message})`, thrown);
  }
}

/** Where a tree lies while it is removed. No volume's name begins with a dot. */
function removingPath({ previous }: HeldTree): string {
  return join(dirname(previous), `.removing-${basename(previous)}`);
}

/** Trees that are being removed, or would be if something did not keep that from being done. */
export function beingRemoved(state: JournalState): string[] {
  return outermostHeld(state)
    .map(({ tree }) => removingPath(tree))
    .filter((path) => identify(path) !== null);
}

/** From here on no undo takes it. */
function renameAway(tree: HeldTree): void {
  const removing = removingPath(tree);
  if (identify(tree.previous) !== null) renameDurably(tree.previous, removing);
  // Whoever renamed it may have been killed before that was durable.
  else if (identify(removing) !== null) syncDirectory(dirname(removing));
  crashPoint('hold:renamed-away');
}

/** A release was begun and has not come to its end. */
function hasLeftovers(state: JournalState): boolean {
  const isOver = state.released === 'expired' || state.released === 'low-disk';
  if (!isOver && heldTrees(state).length === 0) return false;
  return outermostHeld(state).some(
    ({ tree, target }) =>
      identify(removingPath(tree)) !== null || (isOver && isEmptyDirectory(target.privateDirectory)),
  );
}

async function finish(deps: AgentDeps, intentId: string): Promise<void> {
  const { state } = readJournal(deps.config.stateDir, intentId);
  if (state === null || !hasLeftovers(state)) return;
  if (heldTrees(state).length === 0) await removeRenamed(state);
  else await release(deps, intentId, isExpired(deps, state) ? 'expired' : 'low-disk');
}

/** As much of it as goes: a file that cannot be removed is no reason to keep other trees. */
async function removeRenamed(state: JournalState): Promise<void> {
  const failures: unknown[] = [];
  for (const { tree, target } of outermostHeld(state)) {
    try {
      await removeTree(removingPath(tree));
      await removePrivateDirectory(target);
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** When the last tree in it is gone. Inside a mount point that moves the time of the root, which is the user's. */
async function removePrivateDirectory({ privateDirectory, live, mountPoint }: Target): Promise<void> {
  if (!isEmptyDirectory(privateDirectory)) return;
  if (mountPoint) await keepingTime(live, () => removeEmptyDirectory(privateDirectory));
  else removeEmptyDirectory(privateDirectory);
}

function isEmptyDirectory(path: string): boolean {
  return statOrNull(path)?.isDirectory() === true && readdirSync(path).length === 0;
}
