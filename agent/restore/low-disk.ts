/**
 * Ends undo windows early where a disk runs low.
 *
 * Guarantees: a previous tree goes only when its pre-restore snapshot is there, complete; that one was verified and made durable when it
 * was made, and an undo goes through it afterwards. Those that a later restore has superseded go first, then the oldest; no more of them
 * than it takes.
 */
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { toRefloatError } from '../../db/errors.ts';
import type { AgentDeps } from '../deps.ts';
import { reserveOf } from '../fs/disk-space.ts';
import { mountOf, readMounts } from '../fs/mounts.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { release } from './hold.ts';
import { heldTrees, isUnfinished, readJournals } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';

interface Held {
  readonly intentId: string;
  readonly state: JournalState;
}

/** Under each workload's lock. Returns the intents whose previous trees are gone now. */
export async function releaseForSpace(deps: AgentDeps): Promise<string[]> {
  const ended: string[] = [];
  for (const held of heldOldestFirst(deps)) {
    if (!placesOf(held).some(isLow)) continue;
    await deps.locks
      .withWorkloadLock(held.state.intent.workload.id, async () => {
        if (await giveUp(deps, held)) ended.push(held.intentId);
      })
      .catch((thrown: unknown) =>
        deps.log.error({ intentId: held.intentId, error: toRefloatError(thrown).toJSON() }, 'a previous tree stays'),
      );
  }
  return ended;
}

/**
 * Gives up one of a workload's held trees on these file systems, if there is one to give up; the workload's lock is the caller's.
 * @param by the intent that needs the room
 * @param except an intent whose tree it needs
 */
export async function giveUpOne(
  deps: AgentDeps,
  by: Pick<ClaimedIntent, 'id' | 'workload'>,
  mountPoints: readonly string[],
  except: string | null,
): Promise<string | null> {
  const mounts = readMounts();
  for (const held of heldOldestFirst(deps)) {
    if (held.state.intent.workload.id !== by.workload.id || held.intentId === except) continue;
    if (!placesOf(held).some((path) => mountPoints.includes(mountOf(mounts, path).mountPoint))) continue;
    if (await giveUp(deps, held, by.id)) return held.intentId;
  }
  return null;
}

function heldOldestFirst(deps: AgentDeps): Held[] {
  const all = readJournals(deps.config.stateDir).flatMap(({ intentId, state }): Held[] =>
    state === null || isUnfinished(state) || heldTrees(state).length === 0 ? [] : [{ intentId, state }],
  );
  const isSuperseded = ({ intentId, state }: Held) =>
    all.some((other) => other.state.intent.workload.id === state.intent.workload.id && other.intentId > intentId);
  return [...all.filter(isSuperseded), ...all.filter((held) => !isSuperseded(held))];
}

async function giveUp(deps: AgentDeps, { intentId, state }: Held, by?: string): Promise<boolean> {
  const snapshotId = state.outcome?.result?.preRestoreSnapshotId;
  if (snapshotId === undefined) return false;
  try {
    readSnapshotDirectory(snapshotStore(deps.config.stateDir).directoryOf(snapshotId));
  } catch (thrown) {
    deps.log.warn(
      { intentId, error: toRefloatError(thrown).toJSON() },
      'low disk, but the previous tree is the last copy',
    );
    return false;
  }
  if (!(await release(deps, intentId, 'low-disk', by))) return false;
  deps.log.warn({ intentId, snapshotId }, 'low disk: the previous tree was given up; an undo restores its snapshot');
  return true;
}

function placesOf({ state }: Held): string[] {
  return heldTrees(state).flatMap(({ previous }) => (existsSync(previous) ? [dirname(previous)] : []));
}

function isLow(path: string): boolean {
  const { bavail, blocks, bsize } = statfsSync(path);
  return bavail * bsize < reserveOf(blocks * bsize);
}
