/**
 * Lists a directory with what the file system says of its entries' types, so that nobody has to ask for each of them.
 *
 * Guarantees: names in byte order, none twice, whatever happens to the directory meanwhile.
 */
import koffi from 'koffi';
import { S, SystemCallError } from './syscalls.ts';

const SYS_GETDENTS64 = process.arch === 'arm64' ? 61 : 217;
const syscall = koffi.load(null).func('int64_t syscall(int64_t, int64_t, void*, int64_t)') as unknown as (
  call: number,
  fd: number,
  out: Buffer,
  bytes: number,
) => number;

export interface DirectoryNames {
  /** Latin1 bytes. */
  readonly names: readonly string[];
  /** Of what is no regular file, as in `S`; 0 where the file system does not tell. */
  readonly types: ReadonlyMap<string, number>;
}

const buffer = Buffer.allocUnsafeSlow(65_536);

/** @param fd of a directory opened for reading; @throws SystemCallError */
export function readNames(fd: number): DirectoryNames {
  const names: string[] = [];
  const types = new Map<string, number>();
  for (let length = getdents(fd); length > 0; length = getdents(fd)) {
    const text = buffer.toString('latin1', 0, length);
    // struct linux_dirent64: inode, offset (8 bytes each), length of the record (2), type (1), name up to a NUL.
    for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
      const name = text.slice(at + 19, text.indexOf('\0', at + 19));
      if (name === '.' || name === '..') continue;
      names.push(name);
      const type = (buffer[at + 18] ?? 0) << 12;
      if (type !== S.IFREG) types.set(name, type);
    }
  }
  names.sort((a, b) => (a < b ? -1 : 1));
  // What is removed and made again while it is listed may be given twice.
  return { names: names.filter((name, index) => name !== names[index - 1]), types };
}

function getdents(fd: number): number {
  const length = syscall(SYS_GETDENTS64, fd, buffer, buffer.length);
  if (length < 0) throw new SystemCallError('getdents64', koffi.errno());
  return length;
}
