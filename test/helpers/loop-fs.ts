/** A file system of its own on a loop device, for one test. Needs root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LoopFileSystem {
  readonly path: string;
  unmount(): void;
}

export interface LoopOptions {
  /** Where the image lies; the temporary directory unless given. */
  readonly folder?: string | undefined;
  /** Past the page cache of the file system below, so that measurements are of one file system, not two. */
  readonly directIo?: boolean;
}

const MAKE: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-I', '256'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

/** @param bytes at least 320 MiB for xfs; the image is sparse */
export function mountLoop(type: 'ext4' | 'xfs' | 'btrfs', bytes: number, options: LoopOptions = {}): LoopFileSystem {
  const base = mkdtempSync(join(options.folder ?? tmpdir(), 'refloat-loop-'));
  const image = join(base, 'image');
  const path = join(base, 'mount');
  writeFileSync(image, '');
  truncateSync(image, bytes);
  mkdirSync(path);
  const [program = '', ...args] = MAKE[type] ?? [];
  execFileSync(program, [...args, image], { stdio: ['ignore', 'ignore', 'inherit'] });
  const device = execFileSync(
    'losetup',
    ['--find', '--show', ...(options.directIo === true ? ['--direct-io=on'] : []), image],
    { encoding: 'utf8' },
  ).trim();
  try {
    execFileSync('mount', [device, path]);
  } catch (error) {
    execFileSync('losetup', ['-d', device]);
    throw error;
  }
  return {
    path,
    unmount: () => {
      execFileSync('umount', [path]);
      execFileSync('losetup', ['-d', device]);
      rmSync(base, { recursive: true });
    },
  };
}
