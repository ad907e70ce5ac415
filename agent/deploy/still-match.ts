/** Whether containers are what the workload's configuration asks for, so that they can be started as they are. */
import { realpathSync } from 'node:fs';
import type { WorkloadConfig } from '../../db/workload.ts';
import type { MountInfo } from '../docker/engine.ts';
import { SPEC_LABEL } from './labels.ts';
import { specHash } from './spec-hash.ts';

interface Matched {
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly MountInfo[];
}

/**
 * Same image, same configuration (an adopted container has no hash of one, and passes), and at every volume's target
 * the directory in which the volume is now: else it would run on other data than what is restored.
 */
export function stillMatches(
  container: Matched,
  config: WorkloadConfig,
  imageId: string,
  hostPaths: ReadonlyMap<string, string>,
): boolean {
  if (container.imageId !== imageId) return false;
  const spec = container.labels[SPEC_LABEL];
  if (spec !== undefined && spec !== specHash(config)) return false;
  return mountsVolumes(container.mounts, config, hostPaths);
}

/** At the target of every volume that has a live directory, this directory is mounted. */
export function mountsVolumes(
  mounts: readonly MountInfo[],
  config: WorkloadConfig,
  hostPaths: ReadonlyMap<string, string>,
): boolean {
  for (const volume of config.volumes) {
    const live = hostPaths.get(volume.name);
    if (live === undefined) continue;
    const mount = mounts.find(({ destination }) => destination === volume.target);
    if (mount === undefined || realOrSelf(mount.source) !== realOrSelf(live)) return false;
  }
  return true;
}

/** Without symbolic links, if it is there. Synchronous: the thread pool may be busy with syncs while the workload is down. */
export function realOrSelf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}
