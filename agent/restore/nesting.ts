/**
 * Volumes of one workload of which one lies in another (`data` and `data/wal`).
 *
 * The outer volume's archive holds the inner one's directory, too, so that it is complete by itself; the inner volume's own
 * archive is what counts at its place. A restore builds the inner tree inside the staged outer one, so that one exchange, of
 * the outermost directory, brings both.
 * Not possible, and refused: one directory under two names (two archives for one place, and nothing says which is right), and
 * a restore of only one of the two (the exchange would take the other one away, or bring an old state of it).
 */
import { join, relative } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { isInside, type VolumeTarget } from '../fs/volume-path.ts';
import type { Target } from './facts.ts';

type Place = Pick<VolumeTarget, 'name' | 'live'>;

/** Two volumes in one directory. */
export function sameDirectoryRefusals(volumes: readonly Place[]): RefloatError[] {
  return pairs(volumes).flatMap(([a, b]) => {
    if (a.live !== b.live) return [];
    return [
      new RefloatError('VOLUMES_OVERLAP', `the volumes "${a.name}" and "${b.name}" are the same directory, ${a.live}`, {
        hint: 'A snapshot would hold it twice, and a restore could not tell which of the two is right. Keep one volume of it.',
        details: { volumes: [a.name, b.name] },
      }),
    ];
  });
}

/** Volumes that lie in, or around, one that is restored, and are not restored themselves. */
export function partlyRestoredRefusals(volumes: readonly Place[], targets: readonly Target[]): RefloatError[] {
  const restored = new Set(targets.map(({ volume }) => volume));
  return pairs(volumes).flatMap(([a, b]) => {
    if (restored.has(a.name) === restored.has(b.name)) return [];
    const [outer, inner] = isInside(a.live, b.live) ? [a, b] : [b, a];
    if (!isInside(outer.live, inner.live)) return [];
    const missing = restored.has(outer.name) ? inner : outer;
    return [
      new RefloatError(
        'VOLUMES_OVERLAP',
        `the volume "${inner.name}" lies in the volume "${outer.name}", and only one of them would be restored: there is no "${missing.name}" to restore`,
        {
          hint: `Restore a snapshot that has both, or take the volume "${missing.name}" out of the workload's configuration for this restore.`,
          details: { volumes: [outer.name, inner.name], missing: missing.name },
        },
      ),
    ];
  });
}

/** Outer targets before those that lie in them, and these staged inside the outermost one. */
export function nestTargets(targets: readonly Target[]): Target[] {
  const outerFirst = [...targets].sort((a, b) => depth(a.live) - depth(b.live));
  return outerFirst.map((target) => {
    const path = outermost(
      targets.map(({ live }) => live),
      target.live,
    );
    const outer = outerFirst.find(({ live }) => live === path && live !== target.live);
    if (outer === undefined) return target;
    return {
      ...target,
      within: outer.volume,
      privateDirectory: outer.privateDirectory,
      staging: join(outer.staging, relative(outer.live, target.live)),
    };
  });
}

/** Of some directories the uppermost that holds a path; the path itself if none does. */
function outermost(directories: readonly string[], path: string): string {
  const around = directories.filter((directory) => isInside(directory, path));
  return around.sort((a, b) => depth(a) - depth(b))[0] ?? path;
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, index) => items.slice(index + 1).map((b): [T, T] => [a, b]));
}

function depth(path: string): number {
  return path.split('/').length;
}
