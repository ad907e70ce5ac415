/** What is mounted where on this host, from /proc/self/mountinfo (proc(5)). */
import { readFileSync } from 'node:fs';
import { isInside } from './volume-path.ts';

export interface Mount {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
}

export function readMounts(): Mount[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Parses mountinfo; a path's space, tab, newline and backslash are octal escapes there. */
export function parseMountInfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const mountPoint = before?.split(' ')[4];
    const options = before?.split(' ')[5];
    const [type, source] = after?.split(' ') ?? [];
    if (mountPoint === undefined || options === undefined || type === undefined || source === undefined) return [];
    return [
      {
        mountPoint: unescapeOctal(mountPoint),
        type,
        source: unescapeOctal(source),
        readOnly: options.split(',').includes('ro'),
      },
    ];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount that holds a path: the longest mount point at or above it, the newest of several at one place. */
export function mountOf(mounts: readonly Mount[], path: string): Mount {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (mount.mountPoint !== path && !isInside(mount.mountPoint, path)) continue;
    if (best === undefined || mount.mountPoint.length >= best.mountPoint.length) best = mount;
  }
  if (best === undefined) throw new Error(`no file system is mounted at or above ${path}`);
  return best;
}

/** Mount points at a path or below it; such a directory cannot simply be renamed. */
export function mountsWithin(mounts: readonly Mount[], path: string): Mount[] {
  return mounts.filter((mount) => mount.mountPoint === path || isInside(path, mount.mountPoint));
}

/** Whether a file system is mounted right at this path. */
export function isMountPoint(path: string): boolean {
  return readMounts().some((mount) => mount.mountPoint === path);
}
