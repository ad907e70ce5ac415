/**
 * Stage: the new tree of every volume, complete and durable, in a private directory beside the live one.
 * Input: the targets. Undo removes what it made, and nothing else: a tree that an undo adopts is not its own.
 */
import { dirname } from 'node:path';
import { RefloatError } from '../../../db/errors.ts';
import type { Progress } from '../../../db/results.ts';
import { countsOf } from '../../archive/tree-counts.ts';
import type { ArchiveSummary } from '../../archive/types.ts';
import { identify, makeDirectoriesDurably, makeDirectoryDurably, removeEmptyDirectory } from '../../fs/durable.ts';
import { removeTree } from '../../fs/remove-tree.ts';
import { type RootMetadata, readRootMetadata, writeRootMetadata } from '../../fs/root-metadata.ts';
import { limitsOf } from '../../snapshots/limits.ts';
import type { RestoreFacts, Target } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';

export const stage: Step<RestoreFacts, 'stage'> = {
  name: 'stage',

  async act(context) {
    const { targets } = context.fact('preflight');
    makeParents(context, targets);
    if (context.factOrNull('roots') === null) context.note('roots', rootsOf(targets));
    const progress = progressOf(context, targets);
    const restored: { volume: string; counts: ArchiveSummary }[] = [];
    for (const target of targets) {
      if (target.archive === null) {
        assertHeld(target);
        continue;
      }
      await removeTree(target.staging);
      makeDirectoryDurably(target.privateDirectory, 0o700);
      if (target.mountPoint) keepRoot(context, target);
      const counts = await context.deps.archiver.extract({
        archive: target.archive.path,
        destination: target.staging,
        policy: target.archive.policy,
        limits: limitsOf(target.archive),
        expected: target.archive,
        signal: context.signal,
        onProgress: progress(target),
      });
      restored.push({ volume: target.volume, counts });
    }
    for (const { counts } of restored) counts.warnings?.forEach(context.warn);
    return {
      restored: restored.map(({ volume, counts }) => ({ volume, counts: countsOf(counts) })),
      skipped: restored.flatMap(({ volume, counts }) => counts.skipped.map((skip) => ({ ...skip, volume }))),
    };
  },

  async undo({ fact, factOrNull }) {
    for (const target of fact('preflight').targets) {
      if (target.archive === null) continue;
      await removeTree(target.privateDirectory);
      if (target.mountPoint) keepRoot({ factOrNull }, target);
    }
    for (const parent of [...(factOrNull('parents') ?? [])].reverse()) removeEmptyDirectory(parent);
  },
};

/** Creates what is missing above a live directory that is gone, remembering it first so that undo can take it back. */
function makeParents(context: StepContext<RestoreFacts>, targets: readonly Target[]): void {
  const missing = new Set<string>();
  for (const target of targets) {
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

/** A directory that is made or removed inside a mount point moves the time of its root; it is put back. */
function keepRoot({ factOrNull }: Pick<StepContext<RestoreFacts>, 'factOrNull'>, target: Target): void {
  const root = factOrNull('roots')?.[target.volume];
  if (root !== undefined) writeRootMetadata(target.live, root);
}

function assertHeld(target: Target): void {
  if (identify(target.staging) !== null) return;
  throw new RefloatError(
    'PREVIOUS_GONE',
    `the previous tree of volume "${target.volume}" is gone from ${target.staging}`,
    {
      hint: 'Restore its pre-restore snapshot instead.',
    },
  );
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
