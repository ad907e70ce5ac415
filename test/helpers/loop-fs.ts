/** A file system of its own on a loop device, for one test. Needs root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LoopFileSystem {
  readonly path: string;
  unmount(): void;
}

const MAKE: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-I', '256'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

/** @param bytes at least 320 MiB for xfs; the image is sparse */
export function mountLoop(type: 'ext4' | 'xfs' | 'btrfs', bytes: number, folder = tmpdir()): LoopFileSystem {
  const base = mkdtempSync(join(folder, 'refloat-loop-'));
  const image = join(base, 'image');
  const path = join(base, 'mount');
  writeFileSync(image, '');
  truncateSync(image, bytes);
  mkdirSync(path);
  const [program = '', ...args] = MAKE[type] ?? [];
  execFileSync(program, [...args, image], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('mount', ['-o', 'loop', image, path]);
  return {
    path,
    unmount: () => {
      execFileSync('umount', [path]);
      rmSync(base, { recursive: true });
    },
  };
}
