/** A file system of its own on a loop device, for one test. Needs root. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import koffi from 'koffi';

export interface LoopFileSystem {
  readonly path: string;
  unmount(): void;
  /** Everything that did not reach the disk is gone, the log's unwritten part too; nothing works there until it is mounted again. */
  shutDown(): void;
  /** Mounts it again after `shutDown`, when nobody uses it any more. */
  remount(): Promise<void>;
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
  /** ext4 only: how many inodes it has. */
  readonly inodes?: number;
  /** ext4 only: a list as of `mkfs.ext4 -O`. */
  readonly features?: string;
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

/** @returns the device, which goes away with the mount, also when the process is killed and its mount namespace ends */
function mountImage(image: string, path: string, options: LoopOptions): string {
  const direct = options.directIo === true ? ['--direct-io=on'] : [];
  const device = execFileSync('losetup', ['--find', '--show', ...direct, image], { encoding: 'utf8' }).trim();
  try {
    execFileSync('mount', [device, path]);
  } finally {
    execFileSync('losetup', ['-d', device]);
  }
  return device;
}

/** What is being killed keeps its files open, and its mount namespace the file system, until it has ended. */
const RELEASED_WITHIN_MS = 120_000;

async function unmountForGood(device: string, image: string, path: string): Promise<void> {
  await until(path, () => spawnSync('umount', [path], { stdio: 'ignore' }).status === 0, `${path} stays busy`);
  await until(path, () => !isBackedBy(device, image), `${device} keeps the file system of ${path}`);
}

async function until(path: string, isSo: () => boolean, otherwise: string): Promise<void> {
  const end = performance.now() + RELEASED_WITHIN_MS;
  while (!isSo()) {
    if (performance.now() > end)
      throw new Error(`${otherwise}; held by ${holdersOf(path).join(', ') || 'nobody to be seen'}`);
    await delay(20);
  }
}

/** Processes that see the mount, in this mount namespace or another. */
function holdersOf(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(` ${path} `)) return [];
        return [`${pid} (${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 100)})`];
      } catch {
        return [];
      }
    })
    .slice(0, 5);
}

function isBackedBy(device: string, image: string): boolean {
  try {
    return readFileSync(`/sys/block/${basename(device)}/loop/backing_file`, 'utf8').trim() === image;
  } catch {
    return false;
  }
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
  const inodes = options.inodes === undefined ? [] : ['-N', String(options.inodes)];
  const features = options.features === undefined ? [] : ['-O', options.features];
  execFileSync(program, [...args, ...inodes, ...features, image], { stdio: ['ignore', 'ignore', 'inherit'] });
  let device = mountImage(image, path, options);
  const remount = async (): Promise<void> => {
    // While the dead file system lives on anywhere, the image is not only ours, and xfs is not mounted twice.
    await unmountForGood(device, image, path);
    device = mountImage(image, path, options);
  };
  return {
    path,
    shutDown: () => shutDown(path),
    remount,
    powerCut: async (beforeUnmount) => {
      shutDown(path);
      await beforeUnmount();
      await remount();
    },
    unmount: () => {
      execFileSync('umount', [path]);
      rmSync(base, { recursive: true });
    },
  };
}
