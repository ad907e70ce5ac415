/**
 * Copies of the volumes beside them: taken while the containers run, brought up to date inside the freeze, archived after it.
 *
 * Guarantees: they lie in a private directory whose name holds the intent's id, so that an undo finds them whatever happened.
 */
import { closeSync, constants, openSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import { inParallel } from '../archive/in-parallel.ts';
import { fremovexattr, fxattrs } from '../archive/syscalls.ts';
import type { CopySummary } from '../archive/types.ts';
import { reserveOf } from '../fs/disk-space.ts';
import { identify, makeDirectoryDurably } from '../fs/durable.ts';
import { keepingTime, removeFromMountPoint } from '../fs/keeping-time.ts';
import { isMountPoint, mountOf, readMounts } from '../fs/mounts.ts';
import { canReflink } from '../fs/reflink.ts';
import { removeTree } from '../fs/remove-tree.ts';
import { readRootMetadata } from '../fs/root-metadata.ts';
import { isInside } from '../fs/volume-path.ts';
import type { StepContext } from '../restore/saga.ts';
import type { SnapshotSource } from '../snapshots/create-snapshot.ts';
import type { CaptureFacts, Copy } from './facts.ts';

/** `first` and `catch-up` while the containers run, `frozen` while they stand still. */
export type Pass = 'first' | 'catch-up' | 'frozen';

export function planCopies(volumes: readonly SnapshotSource[], intentId: string): Copy[] {
  return volumes.map((volume) => {
    const mountPoint = isMountPoint(volume.path);
    const anchor = anchorOf(volume, volumes);
    const beside = isMountPoint(anchor.path) ? anchor.path : dirname(anchor.path);
    const privateDirectory = join(beside, `.refloat-${intentId}`);
    const { blocks, bsize } = statfsSync(beside);
    return {
      volume: volume.name,
      live: volume.path,
      mountPoint,
      privateDirectory,
      path: join(privateDirectory, volume.name),
      reflink: canReflink(beside),
      reserveBytes: reserveOf(blocks * bsize),
    };
  });
}

/** The outermost volume of the same file system that this one lies in, or itself: what lies in a volume would be copied with it. */
function anchorOf(volume: SnapshotSource, volumes: readonly SnapshotSource[]): SnapshotSource {
  const mounts = readMounts();
  const mountPoint = mountOf(mounts, volume.path).mountPoint;
  return volumes
    .filter((outer) => isInside(outer.path, volume.path) && mountOf(mounts, outer.path).mountPoint === mountPoint)
    .reduce((outermost, outer) => (outer.path.length < outermost.path.length ? outer : outermost), volume);
}

/** Makes the private directories, empty. */
export async function prepareCopies(context: StepContext<CaptureFacts>): Promise<void> {
  const { copies } = context.fact('check_disk');
  if (context.factOrNull('roots') === null) {
    const mountPoints = copies.filter((copy) => copy.mountPoint);
    context.note('roots', Object.fromEntries(mountPoints.map((copy) => [copy.volume, readRootMetadata(copy.live)])));
  }
  for (const [directory, inIt] of directoriesOf(copies)) {
    const make = async (): Promise<void> => {
      await removeTree(directory);
      makeDirectoryDurably(directory, 0o700);
      dropInheritedAcls(directory);
    };
    const root = rootAround(directory, inIt);
    if (root === undefined) await make();
    else await keepingTime(root.live, make);
  }
}

/** Brings all copies to what the volumes hold. Summaries by volume. */
export async function passOver(context: StepContext<CaptureFacts>, pass: Pass): Promise<Map<string, CopySummary>> {
  const { copies } = context.fact('check_disk');
  const index = (copy: Copy, of: Pass): string => join(copy.privateDirectory, `.${copy.volume}.${of}`);
  const summaries = await inParallel(copies, context.signal, async (copy, signal) => {
    const summary = await context.deps.archiver.copy({
      source: copy.live,
      destination: copy.path,
      index: pass === 'frozen' ? null : index(copy, pass),
      previousIndex: pass === 'first' ? null : index(copy, pass === 'frozen' ? 'catch-up' : 'first'),
      reflink: copy.reflink,
      reserveBytes: copy.reserveBytes,
      signal,
    });
    return [copy.volume, summary] as const;
  });
  return new Map(summaries);
}

export const takenBy = (summaries: ReadonlyMap<string, CopySummary>): number =>
  [...summaries.values()].reduce((sum, { taken }) => sum + taken, 0);

/** Fine if they are gone. */
export async function removeCopies(context: Pick<StepContext<CaptureFacts>, 'factOrNull'>): Promise<void> {
  const copies = context.factOrNull('check_disk')?.copies ?? [];
  for (const [directory, inIt] of directoriesOf(copies)) {
    const root = rootAround(directory, inIt);
    if (root === undefined) {
      await removeTree(directory);
      continue;
    }
    // Once there were copies their removal may be long ago, and the application may have moved the time since.
    const before = context.factOrNull('copy') === null ? context.factOrNull('roots')?.[root.volume] : undefined;
    const isBetween = inIt.every(({ path }) => identify(path) === null);
    await removeFromMountPoint(directory, root.live, { before, isBetween });
  }
}

/** A copy that failed is no reason to make no snapshot: it only takes a longer freeze. Says so, and rethrows what is not about copies. */
export function withoutCopies({ warn, signal }: StepContext<CaptureFacts>, thrown: unknown): void {
  if (signal.aborted) throw thrown;
  warn(noCopyWarning(toRefloatError(thrown)));
}

export const noCopyWarning = ({ message }: Pick<RefloatError, 'message'>): string =>
  `the volumes could not be copied beside themselves (${message}), so the containers stood still until the archives were written`;

const directoriesOf = (copies: readonly Copy[]): Map<string, Copy[]> =>
  Map.groupBy(copies, ({ privateDirectory }) => privateDirectory);

/** The mount point in which a private directory lies. Making and removing one moves the time of its root. */
const rootAround = (directory: string, copies: readonly Copy[]): Copy | undefined =>
  copies.find(({ mountPoint, live }) => mountPoint && live === dirname(directory));

/** What lies below must not take on the ACLs that the volume's parent gives to new entries. */
function dropInheritedAcls(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const { name } of fxattrs(fd))
      if (name.toString('latin1').startsWith('system.posix_acl_'))
        fremovexattr(fd, Buffer.concat([name, Buffer.alloc(1)]));
  } finally {
    closeSync(fd);
  }
}
