/** Makes a tree with every property that a capture must bring back. Needs root, `setfattr`, `setfacl` and `setcap`. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const utimensat = libc.func('int utimensat(int, const void*, const void*, int)');
const setxattr = libc.func('int lsetxattr(const void*, const void*, const void*, size_t, int)');

/** Sets a modification time that Node's calls would round. */
function setTime(path: Buffer | string, seconds: bigint, nanoseconds: bigint): void {
  const words = new BigInt64Array([0n, 0x3ffffffen, seconds, nanoseconds]);
  const bytes = Buffer.concat([Buffer.from(path), Buffer.alloc(1)]);
  if (Number(utimensat(-100, bytes, Buffer.from(words.buffer), 0x100)) !== 0)
    throw new Error(`utimensat: ${koffi.errno()}`);
}

function setXattr(path: string, name: string, value: Buffer): void {
  if (Number(setxattr(Buffer.from(`${path}\0`), Buffer.from(`${name}\0`, 'latin1'), value, value.length, 0)) !== 0)
    throw new Error(`lsetxattr ${name}: ${koffi.errno()}`);
}

export interface RichOptions {
  /** Bytes; its data is one MiB. */
  readonly sparseBytes: number;
  /** What GNU tar and bsdtar cannot carry (paths beyond 4,096 bytes, odd attributes) is left out. */
  readonly portable?: boolean;
}

export function makeRichTree(root: string, options: RichOptions): void {
  mkdirSync(root);
  const at = (...parts: string[]): string => join(root, ...parts);
  oddNames(root);
  mkdirSync(at('empty'));
  mkdirSync(at('closed'), { mode: 0o000 });
  writeFileSync(at('plain'), randomBytes(100_000));
  writeFileSync(at('zero'), '');
  writeFileSync(at('exact'), randomBytes(512));
  writeFileSync(at('large'), randomBytes(3_000_001));
  for (const mode of [0o000, 0o444, 0o600, 0o755, 0o1777, 0o2755, 0o4755, 0o6711]) {
    writeFileSync(at(`mode-${mode.toString(8)}`), 'x');
    chmodSync(at(`mode-${mode.toString(8)}`), mode);
    mkdirSync(at(`dir-${mode.toString(8)}`));
    chmodSync(at(`dir-${mode.toString(8)}`), mode);
  }
  owners(root);
  times(root);
  links(root, options.portable === true);
  sparse(root, options.sparseBytes);
  attributes(root, options.portable === true);
  if (options.portable !== true) deepPath(root);
  lchownSync(root, 33, 44);
  chmodSync(root, 0o2751);
  setTime(root, 1_234_567_890n, 123_456_789n);
}

function oddNames(root: string): void {
  const base = Buffer.from(`${root}/`);
  const names = [
    Buffer.from([0xff, 0xfe, 0x80]),
    Buffer.from('a\nnewline'),
    Buffer.from('-rf'),
    Buffer.from('--checkpoint=1'),
    Buffer.from('\x01\x02\x1b[31m\x7f'),
    Buffer.from('é'.normalize('NFC')),
    Buffer.from('é'.normalize('NFD')),
    Buffer.from('back\\slash'),
    Buffer.from(' space '),
    Buffer.from('日本語'),
    Buffer.from('x'.repeat(255)),
    Buffer.from('#quote"\'*?'),
    Buffer.from('...'),
    Buffer.from('Case'),
    Buffer.from('case'),
    Buffer.from('p%3Dq=%25'),
  ];
  for (const name of names) writeFileSync(Buffer.concat([base, name]), name);
  mkdirSync(join(root, 'n'.repeat(120), 'm'.repeat(120)), { recursive: true });
  writeFileSync(join(root, 'n'.repeat(120), 'm'.repeat(120), 'o'.repeat(99)), 'long');
  // A header has room for 100 bytes of a name, which is this directory's with its slash; the file is empty, as directories are.
  mkdirSync(join(root, 'h'.repeat(99)));
  writeFileSync(join(root, 'h'.repeat(99), 'empty'), '');
}

function owners(root: string): void {
  [
    [0, 0],
    [1000, 1000],
    [2_097_151, 2_097_152],
    [262_143, 262_144],
    [4_294_967_294, 4_294_967_293],
    [65_534, 65_534],
  ].forEach(([uid = 0, gid = 0], index) => {
    const path = join(root, `owner-${index}`);
    writeFileSync(path, 'x');
    lchownSync(path, uid, gid);
    // chown clears the set-id bits; they are there together nevertheless.
    chmodSync(path, 0o6755);
  });
}

function times(root: string): void {
  const values: [bigint, bigint][] = [
    [0n, 0n],
    [0n, 1n],
    [-1n, 0n],
    [-1n, 750_000_000n],
    [-86_400n * 365n * 20n, 999_999_999n],
    [4_102_444_800n, 123_456_789n],
    [2_147_483_648n, 5n],
    [8_589_934_592n, 7n],
    [1_700_000_000n, 999_999_999n],
  ];
  values.forEach(([seconds, nanoseconds], index) => {
    writeFileSync(join(root, `time-${index}`), 'x');
    setTime(join(root, `time-${index}`), seconds, nanoseconds);
  });
  mkdirSync(join(root, 'time-dir'));
  writeFileSync(join(root, 'time-dir', 'inside'), 'x');
  setTime(join(root, 'time-dir'), 1_000n, 1n);
}

function links(root: string, portable: boolean): void {
  const at = (name: string): string => join(root, name);
  writeFileSync(at('linked'), 'one inode');
  linkSync(at('linked'), at('a-link'));
  linkSync(at('linked'), join(at('time-dir'), 'z-link'));
  setTime(at('time-dir'), 1_000n, 1n);
  const targets = ['plain', '../outside', '/etc/passwd', 'dangling', '.', '/', 'x'.repeat(1000), 'new\nline'];
  targets.forEach((target, index) => {
    symlinkSync(target, at(`symlink-${index}`));
    lutimesSync(at(`symlink-${index}`), 5, 5);
    setTime(at(`symlink-${index}`), 77n, 99n);
    lchownSync(at(`symlink-${index}`), 12, 34);
  });
  symlinkSync(Buffer.from([0x2f, 0xff, 0xfe]), at('symlink-bytes'));
  // Sorts before its first name as well as behind it.
  if (!portable) for (const name of ['another-symlink', 'symlink-z']) linkSync(at('symlink-2'), at(name));
}

function sparse(root: string, size: number): void {
  const make = (name: string, offsets: readonly number[], length: number, total: number): void => {
    const fd = openSync(join(root, name), 'w');
    for (const offset of offsets) writeSync(fd, randomBytes(length), 0, length, offset);
    closeSync(fd);
    truncateSync(join(root, name), total);
  };
  make('sparse-all-hole', [], 0, 10 * 1024 * 1024);
  make('sparse-begin', [0], 4096, 5_000_003);
  make('sparse-end', [8_388_608], 65_536, 8_388_608 + 65_536);
  make('sparse-middle', [1_048_576, 3_145_728, 7_340_032], 65_536, 10_000_000);
  make('sparse-huge', [size / 2], 1_048_576, size);
  make(
    'sparse-many',
    Array.from({ length: 300 }, (_, index) => index * 131_072),
    4096,
    300 * 131_072,
  );
  chmodSync(join(root, 'sparse-begin'), 0o4751);
}

function attributes(root: string, portable: boolean): void {
  const at = (name: string): string => join(root, name);
  writeFileSync(at('xattr'), 'x');
  setXattr(at('xattr'), 'user.text', Buffer.from('value'));
  setXattr(at('xattr'), 'user.empty', Buffer.alloc(0));
  setXattr(at('xattr'), 'user.binary', Buffer.from([0, 1, 2, 10, 61, 255, 0]));
  setXattr(root, 'user.root', Buffer.from('of the root'));
  mkdirSync(at('xattr-dir'));
  setXattr(at('xattr-dir'), 'user.dir', Buffer.from('d'));
  if (!portable) {
    setXattr(at('xattr'), 'user.a=b%3D', Buffer.from('equals'));
    setXattr(at('xattr'), 'user.\xff\xfe', Buffer.from('bytes'));
    setXattr(at('xattr'), 'trusted.note', randomBytes(1000));
    symlinkSync('nowhere', at('xattr-symlink'));
    setXattr(at('xattr-symlink'), 'trusted.on-symlink', Buffer.from('yes'));
  }
  writeFileSync(at('capability'), 'x', { mode: 0o755 });
  execFileSync('setcap', ['cap_net_bind_service=+ep', at('capability')]);
  lchownSync(at('xattr'), 7, 8);
  mkdirSync(at('acl-dir'));
  execFileSync('setfacl', ['-m', 'u:1234:rwx,g:4321:r-x,d:u:77:rw-', at('acl-dir')]);
  writeFileSync(at('acl-file'), 'x');
  execFileSync('setfacl', ['-m', 'u:1234:r--,m::r--', at('acl-file')]);
}

/** 24 directories of 250 bytes: more than one path argument can hold. */
function deepPath(root: string): void {
  let fd = openSync(root, 0o200000);
  for (let level = 0; level < 24; level += 1) {
    const name = `/proc/self/fd/${fd}/${String(level).padEnd(250, 'd')}`;
    mkdirSync(name);
    writeFileSync(`${name}/file`, String(level));
    const next = openSync(name, 0o200000);
    closeSync(fd);
    fd = next;
  }
  closeSync(fd);
}
