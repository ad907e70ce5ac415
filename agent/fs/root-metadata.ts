/**
 * Owner, mode, modification time and extended attributes of one directory, to be put on another, or back on itself: for volumes
 * that are mount points, whose root no rename can move, and for directories in which the agent makes or removes something.
 */
import { closeSync, constants, fchmodSync, fchownSync, openSync } from 'node:fs';
import { throughHolder } from '../archive/holder.ts';
import {
  cString,
  EMPTY_NAME,
  fremovexattr,
  fsetxattr,
  futimens,
  fxattrs,
  statx,
  type Xattr,
} from '../archive/syscalls.ts';

/** Plain JSON, so that the journal can hold it. */
export interface RootMetadata {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Names and values in base64. */
  readonly xattrs: readonly { readonly name: string; readonly value: string }[];
}

export function readRootMetadata(directory: string): RootMetadata {
  return withDirectory(directory, (fd) => {
    const stat = statx(fd, EMPTY_NAME);
    return {
      uid: stat.uid,
      gid: stat.gid,
      mode: stat.mode & 0o7777,
      seconds: stat.mtimeSeconds,
      nanoseconds: stat.mtimeNanoseconds,
      xattrs: fxattrs(fd).map(({ name, value }: Xattr) => ({
        name: name.toString('base64'),
        value: value.toString('base64'),
      })),
    };
  });
}

/** Makes a directory's metadata exactly this; the time last, since the other changes move it. */
export function writeRootMetadata(directory: string, metadata: RootMetadata): void {
  withDirectory(directory, (fd) => {
    fchownSync(fd, metadata.uid, metadata.gid);
    fchmodSync(fd, metadata.mode);
    const wanted = new Set(metadata.xattrs.map(({ name }) => name));
    for (const { name } of fxattrs(fd)) {
      if (!wanted.has(name.toString('base64'))) fremovexattr(fd, cString(name));
    }
    for (const { name, value } of metadata.xattrs)
      fsetxattr(fd, cString(Buffer.from(name, 'base64')), Buffer.from(value, 'base64'));
    futimens(fd, metadata.seconds, metadata.nanoseconds);
  });
}

/** The modification time alone. */
export function writeRootTime(
  directory: string,
  { seconds, nanoseconds }: Pick<RootMetadata, 'seconds' | 'nanoseconds'>,
): void {
  withDirectory(directory, (fd) => futimens(fd, seconds, nanoseconds));
}

function withDirectory<T>(directory: string, work: (fd: number) => T): T {
  const fd = throughHolder(directory, (at) =>
    openSync(at, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW),
  );
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
