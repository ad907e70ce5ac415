/**
 * Ends undo windows early where a disk runs low.
 *
 * Guarantees: a previous tree goes only when its pre-restore snapshot is there, complete; that one was verified and made durable when it
 * was made, and an undo goes through it afterwards. Those that a later restore has superseded go first, then the oldest; no more of them
 * than it takes, and none where all of them would not be enough.
 */
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { AgentDeps } from '../deps.ts';
import { type FileSystemSpace, reserveOf, spaceRefusals } from '../fs/disk-space.ts';
import { identify } from '../fs/durable.ts';
import { mountOf, readMounts } from '../fs/mounts.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { outermostHeld } from './hold.ts';
import { heldTrees, isUnfinished, readJournals } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';
import { mayGo, release } from './release.ts';

interface Held {
  readonly intentId: string;
  readonly state: JournalState;
}

/** Under each workload's lock. Returns the intents whose previous trees are gone now. */
export async function releaseForSpace(deps: AgentDeps): Promise<string[]> {
  const ended: string[] = [];
  for (const held of heldOldestFirst(deps)) {
    // What is under way keeps nobody else waiting: housekeeping comes again.
    if (!placesOf(held).some(isLow) || deps.locks.isHeld(held.state.intent.workload.id)) continue;
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

export interface RoomToMake {
  /** Of the file systems that are too small also when all that may go is gone; empty when there is room, or can be. */
  readonly refusals: readonly RefloatError[];
  /** Mount points that are too small now. */
  readonly full: readonly string[];
  /** Whose trees may be given up for it. */
  readonly intentIds: readonly string[];
}

/**
 * Whether giving up what a workload holds would make the room that is missing; changes nothing.
 * @param by the intent that needs the room
 * @param except an intent whose tree it needs
 */
export async function roomToMake(
  deps: AgentDeps,
  by: Pick<ClaimedIntent, 'id' | 'workload'>,
  fileSystems: readonly FileSystemSpace[],
  except: string | null,
): Promise<RoomToMake> {
  const refusals = spaceRefusals(fileSystems);
  const tooSmall = fileSystems.filter((fileSystem) => spaceRefusals([fileSystem]).length > 0);
  const full = tooSmall.map(({ mountPoint }) => mountPoint);
  if (full.length === 0) return { refusals, full, intentIds: [] };
  const rooms = await roomHeld(deps, by, full, except);
  const helps = spaceRefusals(withRoom(tooSmall, rooms)).length === 0;
  return { refusals: helps ? [] : refusals, full, intentIds: [...new Set(rooms.map(({ intentId }) => intentId))] };
}

/** What one held tree takes: allocated bytes, more than comes free where files share blocks with others (reflinks). */
interface RoomHeld {
  readonly intentId: string;
  readonly mountPoint: string;
  readonly bytes: number;
  readonly inodes: number;
}

async function roomHeld(
  deps: AgentDeps,
  by: Pick<ClaimedIntent, 'id' | 'workload'>,
  mountPoints: readonly string[],
  except: string | null,
): Promise<RoomHeld[]> {
  const rooms: RoomHeld[] = [];
  const mounts = readMounts();
  for (const { intentId, state } of heldBy(deps, by, except)) {
    try {
      if (!mayGo(deps, state, by.id)) continue;
      for (const { tree } of outermostHeld(state)) {
        const { mountPoint } = mountOf(mounts, dirname(tree.previous));
        if (!mountPoints.includes(mountPoint) || identify(tree.previous) === null) continue;
        const { allocatedBytes, entries, hardLinks } = await deps.archiver.measure(tree.previous);
        rooms.push({ intentId, mountPoint, bytes: allocatedBytes, inodes: entries - hardLinks });
      }
    } catch (thrown) {
      // It stays, so it makes no room.
      deps.log.warn({ intentId, error: toRefloatError(thrown).toJSON() }, 'low disk, but a previous tree stays');
    }
  }
  return rooms;
}

/** What would be free if the held trees were gone. */
function withRoom(fileSystems: readonly FileSystemSpace[], rooms: readonly RoomHeld[]): FileSystemSpace[] {
  return fileSystems.map((fileSystem) => {
    const mine = rooms.filter(({ mountPoint }) => mountPoint === fileSystem.mountPoint);
    return {
      ...fileSystem,
      bytesFree: mine.reduce((sum, { bytes }) => sum + bytes, fileSystem.bytesFree),
      inodesFree: mine.reduce((sum, { inodes }) => sum + inodes, fileSystem.inodesFree),
    };
  });
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
  for (const held of heldBy(deps, by, except)) {
    if (!placesOf(held).some((path) => mountPoints.includes(mountOf(mounts, path).mountPoint))) continue;
    if (await giveUp(deps, held, by.id)) return held.intentId;
  }
  return null;
}

function heldBy(deps: AgentDeps, { workload }: Pick<ClaimedIntent, 'workload'>, except: string | null): Held[] {
  return heldOldestFirst(deps).filter(
    ({ intentId, state }) => state.intent.workload.id === workload.id && intentId !== except,
  );
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
  try {
    if (!(await release(deps, intentId, 'low-disk', by))) return false;
  } catch (thrown) {
    const error = toRefloatError(thrown);
    const why = error.code === 'PREVIOUS_GONE' ? 'the previous tree is the last copy' : 'a previous tree stays';
    deps.log.warn({ intentId, error: error.toJSON() }, `low disk, but ${why}`);
    return false;
  }
  const snapshotId = state.outcome?.result?.preRestoreSnapshotId;
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
