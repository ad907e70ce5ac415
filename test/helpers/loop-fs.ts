/** A file system of its own on a loop device, for one test. Needs root. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';

export interface LoopFileSystem {
  readonly path: string;
  unmount(): void;
  /**
   * What a power cut does: everything that did not reach the disk is gone, the log's unwritten part too. Mounted again when
   * it returns. `beforeUnmount` must end whatever still uses the file system.
   */
  powerCut(beforeUnmount: () => Promise<void>): Promise<void>;
}

export interface LoopOptions {
  /** Where the image lies; the temporary directory unless given. */
  readonly folder?: string | undefined;
  /** Past the page cache of the file system below, so that measurements are of one file system, not two. */
  readonly directIo?: boolean;
}

const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, void *argument)');
/** EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN; 2 is "do not flush the log". */
const GOINGDOWN = 0x8004587d;
const NO_LOG_FLUSH = 2;

function shutDown(path: string): void {
  const fd = openSync(path, 'r');
  try {
    const flag = Buffer.alloc(4);
    flag.writeUInt32LE(NO_LOG_FLUSH);
    if (Number(ioctl(fd, GOINGDOWN, flag)) !== 0)
      throw new Error(`the file system at ${path} cannot be shut down: errno ${koffi.errno()}`);
  } finally {
    closeSync(fd);
  }
}

const MAKE: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-I', '256'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

function attach(image: string, options: LoopOptions): string {
  const direct = options.directIo === true ? ['--direct-io=on'] : [];
  return execFileSync('losetup', ['--find', '--show', ...direct, image], { encoding: 'utf8' }).trim();
}

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
  let device = attach(image, options);
  try {
    execFileSync('mount', [device, path]);
  } catch (error) {
    execFileSync('losetup', ['-d', device]);
    throw error;
  }
  return {
    path,
    powerCut: async (beforeUnmount) => {
      shutDown(path);
      await beforeUnmount();
      execFileSync('umount', [path]);
      // A new device on the same image: the dead file system lives on under the old one for as long as any mount namespace has it.
      execFileSync('losetup', ['-d', device]);
      device = attach(image, options);
      execFileSync('mount', [device, path]);
    },
    unmount: () => {
      execFileSync('umount', [path]);
      execFileSync('losetup', ['-d', device]);
      rmSync(base, { recursive: true });
    },
  };
}
