/**
 * Finds containers that use a workload's data and are not the workload's.
 *
 * Guarantees: names every active container that mounts one of the directories, one above it or one below it, as a bind or as
 * a Docker volume, once for each directory; paths are compared after symbolic links are resolved.
 * Does not guarantee: anything about processes outside containers, or paths mounted twice on the host.
 */
import type { ActiveContainer, Engine } from '../docker/engine.ts';
import { overlap } from '../fs/volume-path.ts';
import { lockIdOf, WORKLOAD_LABEL } from './labels.ts';
import { realOrSelf } from './still-match.ts';

export interface Outsider {
  readonly id: string;
  readonly name: string;
  /** See `lockIdOf`. */
  readonly lockId: string;
  /** The live path that it touches. */
  readonly path: string;
  /** What it mounts: that path, one above it or one below it; what it can write to, if it mounts several. */
  readonly mounted: string;
  /** It can write to none of what it mounts there. */
  readonly readOnly: boolean;
}

/**
 * @param workloadId its containers are not outsiders; null when every active container is one
 * @param ownIds further containers that are the workload's, without its label
 */
export async function findOutsiders(
  engine: Engine,
  workloadId: string | null,
  livePaths: readonly string[],
  ownIds: readonly string[] = [],
): Promise<Outsider[]> {
  const others = (await engine.activeMounts()).filter(
    ({ id, labels }) => !ownIds.includes(id) && (workloadId === null || labels[WORKLOAD_LABEL] !== workloadId),
  );
  return outsidersAmong(others, livePaths);
}

/** Which of some active containers use which of the directories. */
export function outsidersAmong(containers: readonly ActiveContainer[], livePaths: readonly string[]): Outsider[] {
  const lives = livePaths.map((path) => ({ path, real: realOrSelf(path) }));
  return containers.flatMap(({ id, name, labels, mounts }) => {
    const mounted = mounts
      .filter(({ source }) => source !== '')
      .map(({ source, readWrite }) => ({ source, readWrite, real: realOrSelf(source) }));
    return lives.flatMap(({ path, real }) => {
      const touching = mounted.filter((one) => overlap(one.real, real));
      const worst = touching.find(({ readWrite }) => readWrite) ?? touching[0];
      if (worst === undefined) return [];
      const lockId = lockIdOf({ id, labels });
      return [{ id, name, lockId, path, mounted: worst.source, readOnly: !worst.readWrite }];
    });
  });
}
