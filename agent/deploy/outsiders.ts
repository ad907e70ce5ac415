/**
 * Finds containers that use a workload's data and are not the workload's.
 *
 * Guarantees: names every active container that mounts one of the directories, one above it or one below it, as a bind or as
 * a Docker volume; paths are compared after symbolic links are resolved.
 * Does not guarantee: anything about processes outside containers, or paths mounted twice on the host.
 */
import type { ActiveContainer, Engine } from '../docker/engine.ts';
import { isInside } from '../fs/volume-path.ts';
import { WORKLOAD_LABEL } from './labels.ts';
import { realOrSelf } from './still-match.ts';

export interface Outsider {
  readonly id: string;
  readonly name: string;
  /** The live path that it touches. */
  readonly path: string;
  /** What it mounts: that path, one above it or one below it. */
  readonly mounted: string;
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

/** Which of some active containers use one of the directories. */
export function outsidersAmong(containers: readonly ActiveContainer[], livePaths: readonly string[]): Outsider[] {
  const lives = livePaths.map((path) => ({ path, real: realOrSelf(path) }));
  const found: Outsider[] = [];
  for (const container of containers) {
    for (const mount of container.mounts) {
      if (mount.source === '') continue;
      const source = realOrSelf(mount.source);
      const touched = lives.find(({ real }) => real === source || isInside(source, real) || isInside(real, source));
      if (touched === undefined) continue;
      found.push({
        id: container.id,
        name: container.name,
        path: touched.path,
        mounted: mount.source,
        readOnly: !mount.readWrite,
      });
      break;
    }
  }
  return found;
}
