/** Where a volume of a test goes. */
import { join } from 'node:path';
import type { Target } from '../../agent/restore/facts.ts';

/** A live directory that is there, and its staging beside it, or inside it when it is a mount point. Nothing is made on the disk. */
export function restoreTarget(
  live: string,
  { volume = 'data', mountPoint = false, privateName = '.refloat-x' } = {},
  more: Partial<Target> = {},
): Target {
  const privateDirectory = join(mountPoint ? live : join(live, '..'), privateName);
  return {
    volume,
    scope: 'project',
    source: volume,
    mountedAt: `/${volume}`,
    live,
    shared: false,
    existed: true,
    mountPoint,
    within: null,
    privateDirectory,
    staging: join(privateDirectory, volume),
    archive: null,
    ...more,
  };
}
