/**
 * Stage: the new tree of every volume, complete and durable, in a private directory beside the live one; of a volume that lies in
 * another one, at its place in the staged tree of that one.
 * Input: the targets. Undo removes what it made, and nothing else: a tree that an undo adopts is not its own.
 */
import { dirname, join, relative } from 'node:path';
import { RefloatError } from '../../../db/errors.ts';
import type { Fidelity, Progress } from '../../../db/results.ts';
import { inParallel } from '../../archive/in-parallel.ts';
import { countsOf } from '../../archive/tree-counts.ts';
import type { ArchiveSummary } from '../../archive/types.ts';
import {
  identify,
  makeDirectoriesDurably,
  makeDirectoryDurably,
  removeEmptyDirectory,
  removeFileDurably,
  statOrNull,
} from '../../fs/durable.ts';
import { keepingTime, removeFromMountPoint } from '../../fs/keeping-time.ts';
import { removeTree } from '../../fs/remove-tree.ts';
import { type RootMetadata, readRootMetadata } from '../../fs/root-metadata.ts';
import { limitsOf } from '../../snapshots/limits.ts';
import type { RestoreFacts, Target } from '../facts.ts';
import { checkFidelity } from '../fidelity.ts';
import { assertHeld } from '../hold.ts';
import type { Step, StepContext } from '../saga.ts';
import { trees, warnOfWait } from '../sharing.ts';

export const stage: Step<RestoreFacts, 'stage'> = {
  name: 'stage',
  undoMoves: 'data',

  async act(context) {
    const { targets, adoptedFrom } = context.fact('preflight');
    await context.lock.take(trees({ targets }), context.signal, (names) => warnOfWait(names, context.warn));
    if (adoptedFrom !== null) assertHeld(context.deps, adoptedFrom, targets);
    makeParents(context, targets);
    if (context.factOrNull('roots') === null) context.note('roots', rootsOf(targets));
    const progress = progressOf(context, targets);
    // What lies in a volume comes after it; volumes that lie apart are built a few at a time.
    const apart = [...Map.groupBy(targets, ({ volume, within }) => within ?? volume).values()];
    const staged = await inParallel(apart, context.signal, async (group, signal) => {
      const made: Staged[] = [];
      for (const target of group) {
        if (target.archive !== null)
          made.push(await stageOne({ ...context, signal }, target, target.archive, progress(target)));
      }
      return made;
    });
    const inOrder = targets.map(({ volume }) => volume);
    const restored = staged.flat().sort((a, b) => inOrder.indexOf(a.volume) - inOrder.indexOf(b.volume));
    for (const { counts } of restored) counts.warnings?.forEach(context.warn);
    return {
      fidelity: restored.map(({ fidelity }) => fidelity),
      restored: restored.map(({ volume, counts }) => ({ volume, counts: countsOf(counts) })),
      skipped: restored.flatMap(({ volume, counts }) => counts.skipped.map((skip) => ({ ...skip, volume }))),
    };
  },

  async undo({ fact, factOrNull }) {
    for (const target of fact('preflight').targets) {
      if (target.archive === null) continue;
      const { volume, live, mountPoint, privateDirectory, staging } = target;
      const before = factOrNull('roots')?.[volume];
      if (mountPoint)
        await removeFromMountPoint(privateDirectory, live, { before, isBetween: identify(staging) === null });
      else await removeTree(privateDirectory);
    }
    for (const parent of [...(factOrNull('parents') ?? [])].reverse()) {
      if (identify(parent) !== null) await keepingTime(dirname(parent), () => removeEmptyDirectory(parent));
    }
  },
};

interface Staged {
  readonly volume: string;
  readonly counts: ArchiveSummary;
  readonly fidelity: Fidelity;
}

async function stageOne(
  context: StepContext<RestoreFacts>,
  target: Target,
  archive: NonNullable<Target['archive']>,
  onProgress: (bytes: number, entries: number) => void,
): Promise<Staged> {
  const { targets } = context.fact('preflight');
  const outer = targets.find(({ volume }) => volume === target.within);
  const extract = () => extractTo(context, target, archive, onProgress);
  const counts = outer === undefined ? await asOwnTree(target, extract) : await inside(outer, target, extract);
  const fidelity = await checkFidelity(context.deps.archiver, target, archive.counts, counts, context.warn);
  return { volume: target.volume, counts, fidelity };
}

async function extractTo(
  { deps, signal }: StepContext<RestoreFacts>,
  target: Target,
  archive: NonNullable<Target['archive']>,
  onProgress: (bytes: number, entries: number) => void,
): Promise<ArchiveSummary> {
  return deps.archiver.extract({
    archive: archive.path,
    destination: target.staging,
    policy: archive.policy,
    limits: limitsOf(archive),
    expected: archive,
    signal,
    onProgress,
  });
}

async function asOwnTree<T>(target: Target, extract: () => Promise<T>): Promise<T> {
  await removeTree(target.staging);
  const make = () => makeDirectoryDurably(target.privateDirectory, 0o700);
  if (target.mountPoint) await keepingTime(target.live, make);
  else make();
  return extract();
}

/** In the staged tree of the volume in which it lies, instead of what the outer archive has at its place. */
async function inside<T>(outer: Target, target: Target, extract: () => Promise<T>): Promise<T> {
  let anchor = outer.staging;
  for (const name of relative(outer.staging, dirname(target.staging)).split('/')) {
    const next = join(anchor, name);
    // Never through a link: what the archive put there is not trusted.
    const stat = name === '' ? null : statOrNull(next);
    if (stat === null) break;
    if (!stat.isDirectory()) throw notADirectory(outer, target, next);
    anchor = next;
  }
  return keepingTime(anchor, async () => {
    makeDirectoriesDurably(dirname(target.staging));
    if (statOrNull(target.staging)?.isDirectory() === true) await removeTree(target.staging);
    else removeFileDurably(target.staging);
    return extract();
  });
}

function notADirectory(outer: Target, target: Target, path: string): RefloatError {
  return new RefloatError(
    'VOLUMES_OVERLAP',
    `the volume "${target.volume}" lies in the volume "${outer.volume}", but in the snapshot ${relative(outer.staging, path)} of that one is no directory`,
    {
      hint: 'The snapshot was made when the volumes lay elsewhere. Give the inner volume a directory of its own, or restore another snapshot.',
      details: { volumes: [outer.volume, target.volume] },
    },
  );
}

/** Creates what is missing above a live directory that is gone, remembering it first so that undo can take it back. */
function makeParents(context: StepContext<RestoreFacts>, targets: readonly Target[]): void {
  const missing = new Set<string>();
  for (const target of targets) {
    // Inside another volume nothing is made while its containers run; see swap.
    if (target.within !== null) continue;
    for (let path = dirname(target.live); identify(path) === null; path = dirname(path)) missing.add(path);
  }
  if (missing.size === 0) return;
  const outermostFirst = [...missing].sort((a, b) => a.length - b.length);
  context.note('parents', [...(context.factOrNull('parents') ?? []), ...outermostFirst]);
  for (const path of outermostFirst) makeDirectoriesDurably(path);
}

function rootsOf(targets: readonly Target[]): Record<string, RootMetadata> {
  const mountPoints = targets.filter((target) => target.mountPoint);
  return Object.fromEntries(mountPoints.map((target) => [target.volume, readRootMetadata(target.live)]));
}

function progressOf(context: StepContext<RestoreFacts>, targets: readonly Target[]) {
  const bytesTotal = targets.reduce((sum, target) => sum + (target.archive?.counts.contentBytes ?? 0), 0);
  const done = new Map<string, { bytes: number; entries: number }>();
  return (target: Target) => (bytes: number, entries: number) => {
    done.set(target.volume, { bytes, entries });
    const sums = [...done.values()];
    const progress: Progress = {
      bytesDone: sums.reduce((sum, each) => sum + each.bytes, 0),
      bytesTotal,
      entriesDone: sums.reduce((sum, each) => sum + each.entries, 0),
    };
    context.control.progress(progress);
  };
}
