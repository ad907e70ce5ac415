/**
 * `node:fs` and the two renames of `native.ts` and the root's metadata over a disk in memory, for paths below `/sim` and descriptors
 * of them; whatever else is asked goes to the real one. A point before every change. Only what the restore engine imports.
 */
import * as fs from 'node:fs';
import type { RootMetadata } from '../../agent/fs/root-metadata.ts';
import { point } from './points.ts';
import { failure, SimDisk, type SimNode } from './sim-disk.ts';

export * from 'node:fs';

/** Nothing that a real path begins with. */
export const SIM = '/sim';
const FIRST_FD = 1_000_000;

let ticks = 1_600_000_000_000_000_000n;
let disk = new SimDisk(tick);
let open = new Map<number, SimNode>();
let nextFd = FIRST_FD;

function tick(): bigint {
  ticks += 1000n;
  return ticks;
}

/** An empty disk; everything that was open is closed. */
export function newDisk(): SimDisk {
  disk = new SimDisk(tick);
  closeAll();
  return disk;
}

/** As at the end of a process. */
export function closeAll(): void {
  open = new Map();
  nextFd = FIRST_FD;
}

interface Place {
  readonly directory: SimNode;
  readonly name: string;
}

type PathLike = string | Buffer | URL;

/** Components below the disk's root or below an open directory; null for a real path. */
function parse(path: PathLike): { from: SimNode; names: string[] } | null {
  const text = Buffer.isBuffer(path) ? path.toString('latin1') : path.toString();
  const own = /^\/proc\/self\/fd\/(\d+)(?:\/|$)(.*)$/s.exec(text);
  if (own !== null) {
    const from = open.get(Number(own[1]));
    return from === undefined ? null : { from, names: split(own[2] ?? '') };
  }
  return text === SIM || text.startsWith(`${SIM}/`) ? { from: disk.root, names: split(text.slice(SIM.length)) } : null;
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** The node at a path, or null; undefined for a real path. */
function find(path: PathLike): SimNode | null | undefined {
  const parsed = parse(path);
  return parsed === null ? undefined : disk.find(parsed.names, parsed.from);
}

/** Where a name is or is to be; null for a real path. */
function place(path: PathLike): Place | null {
  const parsed = parse(path);
  if (parsed === null) return null;
  const directory = disk.find(parsed.names.slice(0, -1), parsed.from);
  if (directory === null) throw failure('ENOENT', String(path));
  return { directory, name: parsed.names.at(-1) ?? '' };
}

function required(path: PathLike): SimNode {
  const node = find(path);
  if (node === null || node === undefined) throw failure('ENOENT', String(path));
  return node;
}

const { O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY } = fs.constants;

export const openSync: typeof fs.openSync = (path, flags, mode) => {
  const node = find(path);
  if (node === undefined) return fs.openSync(path, flags, mode);
  const bits = typeof flags === 'number' ? flags : flags === 'wx' ? O_CREAT | O_EXCL : 0;
  if ((bits & (O_CREAT | O_TRUNC)) !== 0) point('open');
  let opened = node;
  if (opened === null) {
    if ((bits & O_CREAT) === 0) throw failure('ENOENT', String(path));
    const { directory, name } = place(path) as Place;
    opened = disk.create(directory, name, 'file', Number(mode ?? 0o644));
  } else if ((bits & O_EXCL) !== 0) {
    throw failure('EEXIST', String(path));
  }
  if ((bits & O_DIRECTORY) !== 0 && opened.kind !== 'directory') throw failure('ENOTDIR', String(path));
  if ((bits & O_TRUNC) !== 0) disk.truncate(opened, 0);
  nextFd += 1;
  open.set(nextFd, opened);
  return nextFd;
};

export const closeSync: typeof fs.closeSync = (fd) => {
  if (fd < FIRST_FD) fs.closeSync(fd);
  else open.delete(fd);
};

function write(fd: number, data: Uint8Array, offset = 0, length = data.length - offset): number {
  const node = open.get(fd);
  if (node === undefined) return fs.writeSync(fd, data, offset, length);
  point('write');
  disk.write(node, data.subarray(offset, offset + length));
  return length;
}
export const writeSync = write as typeof fs.writeSync;

export const fsyncSync: typeof fs.fsyncSync = (fd) => {
  const node = open.get(fd);
  if (node === undefined) return fs.fsyncSync(fd);
  point('fsync');
  disk.sync(node);
};

export const fsync = ((fd: number, done: (error: Error | null) => void) => {
  try {
    fsyncSync(fd);
  } catch (error) {
    done(error as Error);
    return;
  }
  done(null);
}) as typeof fs.fsync;

export const ftruncateSync: typeof fs.ftruncateSync = (fd, length) => {
  const node = open.get(fd);
  if (node === undefined) return fs.ftruncateSync(fd, length);
  point('ftruncate');
  disk.truncate(node, length ?? 0);
};

export const readFileSync = ((path: PathLike | number, options?: Parameters<typeof fs.readFileSync>[1]) => {
  const node = typeof path === 'number' ? open.get(path) : find(path);
  if (node === undefined) return fs.readFileSync(path, options as unknown as 'utf8');
  if (node === null) throw failure('ENOENT', String(path));
  return options === undefined || options === null ? Buffer.from(node.bytes) : node.bytes.toString('utf8');
}) as unknown as typeof fs.readFileSync;

export const renameSync: typeof fs.renameSync = (from, to) => {
  const source = place(from as string);
  const target = place(to as string);
  if (source === null || target === null) return fs.renameSync(from, to);
  point('rename');
  disk.rename(source.directory, source.name, target.directory, target.name, true);
};

export const mkdirSync = ((path: string, options?: { mode?: number }) => {
  const target = place(path);
  if (target === null) return fs.mkdirSync(path, options);
  point('mkdir');
  disk.create(target.directory, target.name, 'directory', options?.mode ?? 0o777);
}) as typeof fs.mkdirSync;

export const rmdirSync = ((path: PathLike) => {
  const target = place(path);
  if (target === null) return fs.rmdirSync(path);
  point('rmdir');
  disk.remove(target.directory, target.name, 'directory');
}) as typeof fs.rmdirSync;

export const unlinkSync = ((path: PathLike) => {
  const target = place(path);
  if (target === null) return fs.unlinkSync(path);
  point('unlink');
  disk.remove(target.directory, target.name, 'file');
}) as typeof fs.unlinkSync;

/** Only of files: the engine removes trees itself. */
export const rmSync: typeof fs.rmSync = (path, options) => {
  const node = find(path);
  if (node === undefined) return fs.rmSync(path, options);
  point('rm');
  const { directory, name } = place(path) as Place;
  if (node !== null) disk.remove(directory, name, 'file');
};

export const existsSync: typeof fs.existsSync = (path) => {
  const node = find(path as string);
  return node === undefined ? fs.existsSync(path) : node !== null;
};

export const lstatSync = ((path: PathLike, options?: { bigint?: boolean; throwIfNoEntry?: boolean }) => {
  const node = find(path);
  if (node === undefined) return fs.lstatSync(path, options);
  if (node !== null) return statOf(node, options?.bigint === true);
  if (options?.throwIfNoEntry === false) return undefined;
  throw failure('ENOENT', String(path));
}) as typeof fs.lstatSync;

export const fstatSync = ((fd: number, options?: { bigint?: boolean }) => {
  const node = open.get(fd);
  return node === undefined ? fs.fstatSync(fd, options) : statOf(node, options?.bigint === true);
}) as typeof fs.fstatSync;

function statOf(node: SimNode, isBig: boolean): unknown {
  const number = (value: bigint): bigint | number => (isBig ? value : Number(value));
  return {
    dev: number(7n),
    ino: number(node.ino),
    birthtimeNs: node.born,
    mtimeNs: node.mtimeNs,
    mode: number(BigInt(node.mode)),
    uid: number(BigInt(node.uid)),
    gid: number(BigInt(node.gid)),
    size: number(BigInt(node.bytes.length)),
    isDirectory: () => node.kind === 'directory',
    isFile: () => node.kind === 'file',
    isSymbolicLink: () => false,
  };
}

export const readdirSync = ((path: PathLike, options?: { encoding?: string; withFileTypes?: boolean }) => {
  const node = find(path);
  if (node === undefined) return fs.readdirSync(path, options as never);
  if (node === null) throw failure('ENOENT', String(path));
  const inBytes = options?.encoding === 'buffer';
  return [...node.names].map(([text, child]) => {
    const name = inBytes ? Buffer.from(text, 'latin1') : text;
    return options?.withFileTypes === true ? { name, isDirectory: () => child.kind === 'directory' } : name;
  });
}) as unknown as typeof fs.readdirSync;

// In the place of agent/fs/native.ts.

export function exchangePaths(a: Buffer, b: Buffer): void {
  const [one, two] = [place(a) as Place, place(b) as Place];
  point('renameat2');
  disk.exchange(one.directory, one.name, two.directory, two.name);
}

export function renameWithoutReplacing(from: Buffer, to: Buffer): void {
  const [source, target] = [place(from) as Place, place(to) as Place];
  point('renameat2');
  if (!disk.canExchange) throw failure('EINVAL', String(from));
  disk.rename(source.directory, source.name, target.directory, target.name, false);
}

export function tryLockFile(): boolean {
  return true;
}

// In the place of agent/fs/root-metadata.ts. Metadata is in the cache alone; what a cut does to it the power sweep tries.

export function readRootMetadata(directory: string): RootMetadata {
  const { uid, gid, mode, mtimeNs } = required(directory);
  return {
    uid,
    gid,
    mode,
    seconds: Number(mtimeNs / 1_000_000_000n),
    nanoseconds: Number(mtimeNs % 1_000_000_000n),
    xattrs: [],
  };
}

export function writeRootTime(directory: string, { seconds, nanoseconds }: RootMetadata): void {
  writeRootMetadata(directory, { ...readRootMetadata(directory), seconds, nanoseconds });
}

export function writeRootMetadata(directory: string, { uid, gid, mode, seconds, nanoseconds }: RootMetadata): void {
  const node = required(directory);
  point('fchmod');
  node.uid = uid;
  node.gid = gid;
  node.mode = mode;
  node.mtimeNs = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
