/** Free space of file systems, and whether what is planned fits. Sizes in bytes. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { statOrNull } from './durable.ts';
import { type Mount, mountOf } from './mounts.ts';

export interface SpaceNeed {
  /** A path that will be written below; it need not exist yet. */
  readonly path: string;
  readonly bytes: number;
  readonly inodes: number;
}

export interface FileSystemSpace {
  readonly mountPoint: string;
  readonly type: string;
  readonly bytesNeeded: number;
  readonly bytesFree: number;
  readonly inodesNeeded: number;
  /** Infinity-like for file systems that make inodes as they go (btrfs reports none). */
  readonly inodesFree: number;
}

const MIB = 1024 * 1024;

/** Adds up what is needed per file system, with a reserve so that a restore never fills a disk to the brim. */
export function spaceByFileSystem(needs: readonly SpaceNeed[], mounts: readonly Mount[]): FileSystemSpace[] {
  const byMount = new Map<string, { mount: Mount; bytes: number; inodes: number }>();
  for (const need of needs) {
    const mount = mountOf(mounts, existingParent(need.path));
    const sum = byMount.get(mount.mountPoint) ?? { mount, bytes: 0, inodes: 0 };
    byMount.set(mount.mountPoint, { mount, bytes: sum.bytes + need.bytes, inodes: sum.inodes + need.inodes });
  }
  return [...byMount.values()].map(({ mount, bytes, inodes }) => {
    const stat = statfsSync(mount.mountPoint);
    return {
      mountPoint: mount.mountPoint,
      type: mount.type,
      bytesNeeded: Math.ceil(bytes + reserveOf(stat.blocks * stat.bsize)),
      bytesFree: stat.bavail * stat.bsize,
      inodesNeeded: inodes + 64,
      inodesFree: stat.files === 0 ? Number.MAX_SAFE_INTEGER : stat.ffree,
    };
  });
}

/** Bytes that stay free on a file system of this size. */
export function reserveOf(totalBytes: number): number {
  return Math.min(Math.max(totalBytes * 0.02, 8 * MIB), 512 * MIB);
}

/** One `DISK_FULL` or `INODES_FULL` for every file system that is too small; empty if all is well. */
export function spaceRefusals(fileSystems: readonly FileSystemSpace[]): RefloatError[] {
  return fileSystems.flatMap((fs) => {
    const refusals: RefloatError[] = [];
    if (fs.bytesFree < fs.bytesNeeded) {
      refusals.push(
        new RefloatError('DISK_FULL', `${fs.mountPoint} has ${fs.bytesFree} bytes free, ${fs.bytesNeeded} are needed`, {
          hint: `Free at least ${fs.bytesNeeded - fs.bytesFree} bytes on ${fs.mountPoint}; previous trees that are held show in "refloat-agent status".`,
          details: { ...fs },
        }),
      );
    }
    if (fs.inodesFree < fs.inodesNeeded) {
      refusals.push(
        new RefloatError(
          'INODES_FULL',
          `${fs.mountPoint} has ${fs.inodesFree} inodes free, ${fs.inodesNeeded} are needed`,
          {
            hint: `Remove files from ${fs.mountPoint}: it is out of inodes, not of bytes.`,
            details: { ...fs },
          },
        ),
      );
    }
    return refusals;
  });
}

/** The path itself, or the nearest directory above it that is there. */
export function existingParent(path: string): string {
  return statOrNull(path) === null && path !== '/' ? existingParent(dirname(path)) : path;
}
