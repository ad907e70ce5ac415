/**
 * System calls that Node does not have, or not relative to a directory descriptor, through koffi.
 *
 * Guarantees: every call that fails throws a SystemCallError with the name of the errno; names are raw bytes.
 * Does not guarantee: retries; a short write is the caller's business.
 * Synchronous on purpose: a call costs about 1 µs here and 40 to 70 µs through the thread pool.
 */
import { constants } from 'node:os';
import koffi from 'koffi';

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  // These three differ between architectures.
  DIRECTORY: process.arch === 'arm64' ? 0o40000 : 0o200000,
  NOFOLLOW: process.arch === 'arm64' ? 0o100000 : 0o400000,
  NOATIME: 0o1000000,
  PATH: 0o10000000,
} as const;

const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const ERRNO_NAMES = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Linux has ENOATTR as ENODATA; EOPNOTSUPP and ENOTSUP are one number.
ERRNO_NAMES.set(95, 'EOPNOTSUPP');

export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = ERRNO_NAMES.get(errno) ?? `E${errno}`;
    super(`${syscall}: ${code}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

const libc = koffi.load(null);
/** Fewest layers: these calls are made several times per file. koffi gives numbers as long as they are safe integers. */
const bind = <Args extends unknown[]>(definition: string): ((...args: Args) => number) =>
  libc.func(definition) as unknown as (...args: Args) => number;

const c = {
  openat: bind<[number, Buffer, number, number]>('int openat(int, const void*, int, uint32_t)'),
  close: bind<[number]>('int close(int)'),
  mkdirat: bind<[number, Buffer, number]>('int mkdirat(int, const void*, uint32_t)'),
  symlinkat: bind<[Buffer, number, Buffer]>('int symlinkat(const void*, int, const void*)'),
  linkat: bind<[number, Buffer, number, Buffer, number]>('int linkat(int, const void*, int, const void*, int)'),
  unlinkat: bind<[number, Buffer, number]>('int unlinkat(int, const void*, int)'),
  fchmod: bind<[number, number]>('int fchmod(int, uint32_t)'),
  fchown: bind<[number, number, number]>('int fchown(int, uint32_t, uint32_t)'),
  fchownat: bind<[number, Buffer, number, number, number]>('int fchownat(int, const void*, uint32_t, uint32_t, int)'),
  futimens: bind<[number, Buffer]>('int futimens(int, const void*)'),
  utimensat: bind<[number, Buffer, Buffer, number]>('int utimensat(int, const void*, const void*, int)'),
  fsetxattr: bind<[number, Buffer, Buffer, number, number]>(
    'int fsetxattr(int, const void*, const void*, size_t, int)',
  ),
  fremovexattr: bind('int fremovexattr(int, const void*)'),
  lsetxattr: bind<[Buffer, Buffer, Buffer, number, number]>(
    'int lsetxattr(const void*, const void*, const void*, size_t, int)',
  ),
  flistxattr: bind<[number, Buffer, number]>('int64_t flistxattr(int, void*, size_t)'),
  llistxattr: bind<[Buffer, Buffer, number]>('int64_t llistxattr(const void*, void*, size_t)'),
  fgetxattr: bind<[number, Buffer, Buffer, number]>('int64_t fgetxattr(int, const void*, void*, size_t)'),
  lgetxattr: bind<[Buffer, Buffer, Buffer, number]>('int64_t lgetxattr(const void*, const void*, void*, size_t)'),
  lseek: bind<[number, number, number]>('int64_t lseek(int, int64_t, int)'),
  ftruncate: bind<[number, number]>('int ftruncate(int, int64_t)'),
  syncfs: bind<[number]>('int syncfs(int)'),
  sync_file_range: bind<[number, number, number, number]>('int sync_file_range(int, int64_t, int64_t, uint32_t)'),
  readlinkat: bind<[number, Buffer, Buffer, number]>('int64_t readlinkat(int, const void*, void*, size_t)'),
  statx: bind<[number, Buffer, number, number, Buffer]>('int statx(int, const void*, int, uint32_t, void*)'),
  write: bind<[number, Uint8Array, number]>('int64_t write(int, const void*, size_t)'),
  pwrite: bind<[number, Uint8Array, number, number]>('int64_t pwrite(int, const void*, size_t, int64_t)'),
  posix_fadvise: bind<[number, number, number, number]>('int posix_fadvise(int, int64_t, int64_t, int)'),
  ioctl: bind<[number, number, number]>('int ioctl(int, uint64_t, int64_t)'),
  prctl: bind<[number, number]>('int prctl(int, uint64_t)'),
};

function check(syscall: string, result: number): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno());
  return result;
}

const scratch = Buffer.alloc(65_536);

/**
 * The same as `cString` for a latin1 string, in a buffer that the next call overwrites: for a call that is made at once.
 * Throws on a NUL inside and on what no path can be.
 */
export function scratchName(name: string): Buffer {
  if (name.length >= scratch.length || name.includes('\0')) throw new SystemCallError('name', constants.errno.EINVAL);
  scratch[scratch.write(name, 0, 'latin1')] = 0;
  return scratch;
}

/** A name as the kernel wants it: the bytes and a NUL. Throws on a NUL inside, which would cut the name short. */
export function cString(name: Buffer | string): Buffer {
  const bytes = typeof name === 'string' ? Buffer.from(name, 'latin1') : name;
  if (bytes.includes(0)) throw new SystemCallError('cString', constants.errno.EINVAL);
  const out = Buffer.allocUnsafe(bytes.length + 1);
  bytes.copy(out);
  out[bytes.length] = 0;
  return out;
}

export const openat = (dir: number, name: Buffer, flags: number, mode = 0): number =>
  check('openat', c.openat(dir, name, flags | O.CLOEXEC, mode));
export const close = (fd: number): void => void check('close', c.close(fd));
export const mkdirat = (dir: number, name: Buffer, mode: number): void =>
  void check('mkdirat', c.mkdirat(dir, name, mode));
export const symlinkat = (target: Buffer, dir: number, name: Buffer): void =>
  void check('symlinkat', c.symlinkat(target, dir, name));
/** Never follows a symlink at the source. */
export const linkat = (fromDir: number, from: Buffer, toDir: number, to: Buffer): void =>
  void check('linkat', c.linkat(fromDir, from, toDir, to, 0));
export const unlinkat = (dir: number, name: Buffer, flags = 0): void =>
  void check('unlinkat', c.unlinkat(dir, name, flags));
export const fchmod = (fd: number, mode: number): void => void check('fchmod', c.fchmod(fd, mode));
export const fchown = (fd: number, uid: number, gid: number): void => void check('fchown', c.fchown(fd, uid, gid));
export const lchownat = (dir: number, name: Buffer, uid: number, gid: number): void =>
  void check('fchownat', c.fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW));
export const fsetxattr = (fd: number, name: Buffer, value: Buffer): void =>
  void check('fsetxattr', c.fsetxattr(fd, name, value, value.length, 0));
export const fremovexattr = (fd: number, name: Buffer): void => void check('fremovexattr', c.fremovexattr(fd, name));
export const lsetxattr = (path: Buffer, name: Buffer, value: Buffer): void =>
  void check('lsetxattr', c.lsetxattr(path, name, value, value.length, 0));
export const ftruncate = (fd: number, size: number): void => void check('ftruncate', c.ftruncate(fd, size));
export const write = (fd: number, bytes: Uint8Array, length: number): number =>
  check('write', c.write(fd, bytes, length));
export const pwrite = (fd: number, bytes: Uint8Array, length: number, offset: number): number =>
  check('pwrite', c.pwrite(fd, bytes, length, offset));

const FADV_WILLNEED = 3;
/** Lets the kernel read the file while we do something else. Only advice: it says nothing when it cannot. */
export const willNeed = (fd: number): void => void c.posix_fadvise(fd, 0, 0, FADV_WILLNEED);

/** Writes everything of the descriptor's file system to the disk, once, instead of file by file. */
export const syncfs = (fd: number): void => void check('syncfs', c.syncfs(fd));

/** The same on the thread pool. */
export async function syncfsAside(fd: number): Promise<void> {
  const result = await new Promise<number>((resolve, reject) => {
    const { async } = c.syncfs as unknown as {
      async(fd: number, done: (error: Error | null, result: number) => void): void;
    };
    async(fd, (error, value) => (error === null ? resolve(value) : reject(error)));
  });
  // The number of the error stays with the thread that had it.
  if (result !== 0) throw new SystemCallError('syncfs', constants.errno.EIO);
}

const SYNC_FILE_RANGE_WRITE = 2;
/**
 * Has the disk begin to write that part of a file, on the thread pool. Only advice: whether the bytes have reached the disk is what a
 * later fsync tells.
 */
export async function writeBackAside(fd: number, offset: number, bytes: number): Promise<void> {
  const { async } = c.sync_file_range as unknown as { async(...args: unknown[]): void };
  await new Promise<void>((resolve) => async(fd, offset, bytes, SYNC_FILE_RANGE_WRITE, () => resolve()));
}

const FICLONE = 0x40049409;
/** What a file system says that cannot share the blocks of these two files. */
const CANNOT_CLONE: ReadonlySet<string> = new Set([
  'EOPNOTSUPP',
  'ENOTTY',
  'ENOSYS',
  'EXDEV',
  'EINVAL',
  'ETXTBSY',
  'EPERM',
]);

/** Gives the empty file `to` the blocks of `from` without copying them (a reflink); false where that cannot be done. */
export function cloneFile(to: number, from: number): boolean {
  if (c.ioctl(to, FICLONE, from) === 0) return true;
  const error = new SystemCallError('ioctl', koffi.errno());
  if (CANNOT_CLONE.has(error.code)) return false;
  throw error;
}

const PR_SET_PDEATHSIG = 1;
/** This process is killed as soon as its parent is gone. */
export const dieWithParent = (): void => void check('prctl', c.prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL));

const UTIME_OMIT = 0x3ffffffen;
const times = Buffer.from(new ArrayBuffer(32));
const timesWords = new BigInt64Array(times.buffer, 0, 4);

function fillTimes(seconds: number, nanoseconds: number): Buffer {
  timesWords[0] = 0n;
  timesWords[1] = UTIME_OMIT;
  timesWords[2] = BigInt(seconds);
  timesWords[3] = BigInt(nanoseconds);
  return times;
}

/** Sets the modification time alone. `seconds` may be negative; `nanoseconds` is 0 to 999,999,999 and counts upwards from it. */
export const futimens = (fd: number, seconds: number, nanoseconds: number): void =>
  void check('futimens', c.futimens(fd, fillTimes(seconds, nanoseconds)));
export const lutimensat = (dir: number, name: Buffer, seconds: number, nanoseconds: number): void =>
  void check('utimensat', c.utimensat(dir, name, fillTimes(seconds, nanoseconds), AT_SYMLINK_NOFOLLOW));

/** Offset of the next data or hole at or after `offset`; null when there is no data up to the end of the file. */
export function seekData(fd: number, offset: number): number | null {
  const found = c.lseek(fd, offset, SEEK_DATA);
  if (found >= 0) return found;
  const errno = koffi.errno();
  if (errno === constants.errno.ENXIO) return null;
  throw new SystemCallError('lseek', errno);
}
export const seekHole = (fd: number, offset: number): number => check('lseek', c.lseek(fd, offset, SEEK_HOLE));
export const seekStart = (fd: number): void => void check('lseek', c.lseek(fd, 0, SEEK_SET));

/** Attributes that a file system reports but that belong to the host, not to the data. */
const listBuffer = Buffer.allocUnsafe(65_536);
const valueBuffer = Buffer.allocUnsafe(65_536);

export interface Xattr {
  /** Without NUL. */
  readonly name: Buffer;
  readonly value: Buffer;
}

const isUnsupported = (errno: number): boolean => errno === 95 || errno === constants.errno.ENOSYS;

function collect(list: () => number, get: (name: Buffer) => number): Xattr[] {
  const length = list();
  if (length < 0) {
    const errno = koffi.errno();
    if (isUnsupported(errno)) return [];
    throw new SystemCallError('listxattr', errno);
  }
  if (length === 0) return [];
  const found: Xattr[] = [];
  const names = Buffer.from(listBuffer.subarray(0, length));
  for (let start = 0; start < length; ) {
    const end = names.indexOf(0, start);
    if (end < 0) break;
    const name = names.subarray(start, end);
    const size = get(names.subarray(start, end + 1));
    if (size >= 0) found.push({ name, value: Buffer.from(valueBuffer.subarray(0, size)) });
    else if (koffi.errno() !== constants.errno.ENODATA) throw new SystemCallError('getxattr', koffi.errno());
    start = end + 1;
  }
  return found;
}

export const fxattrs = (fd: number): Xattr[] =>
  collect(
    () => c.flistxattr(fd, listBuffer, listBuffer.length),
    (name) => c.fgetxattr(fd, name, valueBuffer, valueBuffer.length),
  );
/** `path` is a NUL-terminated path; the last component is not followed. */
export const lxattrs = (path: Buffer): Xattr[] =>
  collect(
    () => c.llistxattr(path, listBuffer, listBuffer.length),
    (name) => c.lgetxattr(path, name, valueBuffer, valueBuffer.length),
  );

const linkBuffer = Buffer.allocUnsafe(65_536);
export function readlinkat(dir: number, name: Buffer): Buffer {
  const length = check('readlinkat', c.readlinkat(dir, name, linkBuffer, linkBuffer.length));
  return Buffer.from(linkBuffer.subarray(0, length));
}

export interface Stat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** 512-byte units. */
  readonly blocks: number;
  readonly nlink: number;
  /** Rounded beyond 2^53: good enough to see that a file was replaced. */
  readonly ino: number;
  /** Device and inode, exactly; '' for what has one name. */
  readonly identity: string;
  /** Device and mount. */
  readonly mount: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Of the last change of data or metadata; nobody can set it. */
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
}

const STATX_BASIC = 0x7ff;
const STATX_MNT_ID = 0x1000;
const statxBuffer = Buffer.from(new ArrayBuffer(256));
const statxWords = new Uint32Array(statxBuffer.buffer, 0, 64);
const statxSigned = new Int32Array(statxBuffer.buffer, 0, 64);

/** Never follows a symlink at the end. `name` empty (a single NUL) means `dir` itself. */
export function statx(dir: number, name: Buffer): Stat {
  check('statx', c.statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC | STATX_MNT_ID, statxBuffer));
  const nlink = statxWords[4] ?? 0;
  const mode = (statxWords[7] ?? 0) & 0xffff;
  return {
    nlink,
    uid: statxWords[5] ?? 0,
    gid: statxWords[6] ?? 0,
    mode,
    ino: word64(8),
    // Only what has several names needs to be told apart.
    identity: nlink > 1 ? `${statxWords[34]}:${statxWords[35]}:${statxWords[8]}:${statxWords[9]}` : '',
    size: word64(10),
    blocks: word64(12),
    mtimeSeconds: (statxWords[28] ?? 0) + (statxSigned[29] ?? 0) * 4_294_967_296,
    mtimeNanoseconds: statxWords[30] ?? 0,
    ctimeSeconds: (statxWords[24] ?? 0) + (statxSigned[25] ?? 0) * 4_294_967_296,
    ctimeNanoseconds: statxWords[26] ?? 0,
    mount: ((statxWords[34] ?? 0) * 1_048_576 + (statxWords[35] ?? 0)) * 65_536 + ((statxWords[36] ?? 0) % 65_536),
  };
}

/** Exact up to 2^53, which inodes and sizes of file systems in use stay under. */
const word64 = (index: number): number => (statxWords[index] ?? 0) + (statxWords[index + 1] ?? 0) * 4_294_967_296;

export const EMPTY_NAME = Buffer.from([0]);

export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
} as const;
