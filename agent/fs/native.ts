/**
 * System calls that Node does not offer, through koffi. Synchronous, and with the errno that the kernel gave.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const renameat2 = libc.func(
  'int renameat2(int olddirfd, const void *oldpath, int newdirfd, const void *newpath, unsigned int flags)',
);
const flock = libc.func('int flock(int fd, int operation)');

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const LOCK_EXCLUSIVE_NOT_BLOCKING = 2 | 4;

/** Exchanges two paths in one step (renameat2(2), RENAME_EXCHANGE). Throws an error with `code`, for example `EINVAL` where the file system cannot. */
export function exchangePaths(a: Buffer, b: Buffer): void {
  check(
    renameat2(AT_FDCWD, terminated(a), AT_FDCWD, terminated(b), RENAME_EXCHANGE) as number,
    'renameat2',
    a.toString(),
  );
}

/** Renames if nothing has the new name yet (RENAME_NOREPLACE); throws `EEXIST` otherwise, `EINVAL` where the file system cannot. */
export function renameWithoutReplacing(from: Buffer, to: Buffer): void {
  check(
    renameat2(AT_FDCWD, terminated(from), AT_FDCWD, terminated(to), RENAME_NOREPLACE) as number,
    'renameat2',
    from.toString(),
  );
}

function terminated(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.alloc(1)]);
}

/** Takes an exclusive flock(2) without waiting; false if somebody else holds it. It ends with the process. */
export function tryLockFile(fd: number, path: string): boolean {
  if ((flock(fd, LOCK_EXCLUSIVE_NOT_BLOCKING) as number) === 0) return true;
  const errno = koffi.errno();
  if (errno === koffi.os.errno['EAGAIN']) return false;
  throw systemError(errno, 'flock', path);
}

function check(result: number, call: string, path: string): void {
  if (result !== 0) throw systemError(koffi.errno(), call, path);
}

function systemError(errno: number, syscall: string, path: string): NodeJS.ErrnoException {
  const code = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `E${errno}`;
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, errno: -errno, syscall, path });
}
