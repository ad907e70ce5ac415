/**
 * What a directory tree is, down to what a restore must give back, and how two of them differ.
 *
 * Guarantees: names as bytes, content, owner, mode, mtime in nanoseconds, extended attributes, which names are one inode, holes.
 * Shares no code with the archive, which it judges. Works beyond PATH_MAX and never follows a symlink.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const llistxattr = libc.func('int64_t llistxattr(const void*, void*, size_t)');
const lgetxattr = libc.func('int64_t lgetxattr(const void*, const void*, void*, size_t)');

// Made once: most files of a test are small, and making these for each took longer than reading it.
const block = Buffer.allocUnsafe(1_048_576);
const list = Buffer.allocUnsafe(65_536);
const value = Buffer.allocUnsafe(65_536);

export interface TreeNode {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly size: number;
  /** Bytes on disk. */
  readonly allocated: number;
  /** SHA-256 of a file's content, hex; target of a symlink, hex; else ''. */
  readonly content: string;
  readonly xattrs: ReadonlyMap<string, string>;
  /** The first path, in byte order, of the same inode. */
  readonly link: string;
}

/** By path, latin1 bytes; '' is the root. */
export type TreeSnapshot = ReadonlyMap<string, TreeNode>;

export type Property = 'mode' | 'owner' | 'mtime' | 'xattrs' | 'links' | 'sparse' | 'content';

/** @param options.hashUpTo larger files (in bytes) are compared by size and allocation alone */
export function snapshotTree(root: string, options: { readonly hashUpTo?: number } = {}): TreeSnapshot {
  const limit = options.hashUpTo ?? Number.POSITIVE_INFINITY;
  const nodes = new Map<string, TreeNode>();
  const inodes = new Map<string, string>();
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    record(Buffer.from(`/proc/self/fd/${fd}/.`), '', nodes, inodes, limit);
    walk(fd, '', nodes, inodes, limit);
  } finally {
    closeSync(fd);
  }
  return nodes;
}

function walk(
  fd: number,
  path: string,
  nodes: Map<string, TreeNode>,
  inodes: Map<string, string>,
  limit: number,
): void {
  const base = Buffer.from(`/proc/self/fd/${fd}/`);
  for (const name of readdirSync(base, { encoding: 'buffer' }).sort(Buffer.compare)) {
    const full = Buffer.concat([base, name]);
    const below = path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`;
    if (record(full, below, nodes, inodes, limit) !== 'directory') continue;
    const child = openSync(full, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      walk(child, below, nodes, inodes, limit);
    } finally {
      closeSync(child);
    }
  }
}

function record(
  full: Buffer,
  path: string,
  nodes: Map<string, TreeNode>,
  inodes: Map<string, string>,
  limit: number,
): TreeNode['type'] {
  const stat = lstatSync(full, { bigint: true });
  const type = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'other';
  const inode = `${stat.dev}:${stat.ino}`;
  if (!inodes.has(inode)) inodes.set(inode, path);
  nodes.set(path, {
    type,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
    size: type === 'directory' ? 0 : Number(stat.size),
    allocated: Number(stat.blocks) * 512,
    content:
      type === 'file'
        ? stat.size > limit
          ? ''
          : hashFile(full)
        : type === 'symlink'
          ? readlinkSync(full, { encoding: 'buffer' }).toString('hex')
          : '',
    xattrs: readXattrs(full),
    link: type === 'directory' ? path : (inodes.get(inode) ?? path),
  });
  return type;
}

function hashFile(path: Buffer): string {
  const hash = createHash('sha256');
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let count = readSync(fd, block); count > 0; count = readSync(fd, block)) hash.update(block.subarray(0, count));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

function readXattrs(path: Buffer): Map<string, string> {
  const target = Buffer.concat([path, Buffer.alloc(1)]);
  const length = Number(llistxattr(target, list, list.length));
  const found = new Map<string, string>();
  if (length <= 0) return found;
  for (const name of list
    .subarray(0, length - 1)
    .toString('latin1')
    .split('\0')
    .sort()) {
    const size = Number(lgetxattr(target, Buffer.from(`${name}\0`, 'latin1'), value, value.length));
    if (size >= 0) found.set(name, value.subarray(0, size).toString('hex'));
  }
  return found;
}

/** A hole may come back a little smaller than it was: file systems allocate in different pieces. */
const SPARSE_SLACK_BYTES = 128 * 1024;

/** Every difference in a line of its own; none means that the trees are the same. */
export function compareTrees(expected: TreeSnapshot, found: TreeSnapshot, ignore: readonly Property[] = []): string[] {
  const differences: string[] = [];
  for (const [path, a] of expected) {
    const b = found.get(path);
    if (b === undefined) differences.push(`${show(path)}: missing`);
    else for (const difference of compareNodes(a, b, new Set(ignore))) differences.push(`${show(path)}: ${difference}`);
  }
  for (const path of found.keys()) if (!expected.has(path)) differences.push(`${show(path)}: not expected`);
  return differences;
}

function compareNodes(a: TreeNode, b: TreeNode, ignore: ReadonlySet<Property>): string[] {
  const found: string[] = [];
  const check = (property: Property, what: string, left: unknown, right: unknown): void => {
    if (!ignore.has(property) && left !== right) found.push(`${what} ${String(left)} became ${String(right)}`);
  };
  if (a.type !== b.type) return [`${a.type} became ${b.type}`];
  check('content', 'size', a.size, b.size);
  check('content', 'content', a.content, b.content);
  check('mode', 'mode', a.mode.toString(8), b.mode.toString(8));
  check('owner', 'owner', `${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`);
  check('mtime', 'mtime', a.mtimeNs, b.mtimeNs);
  check('links', 'link', show(a.link), show(b.link));
  const list = (node: TreeNode): string => [...node.xattrs].map(([name, value]) => `${show(name)}=${value}`).join(' ');
  check('xattrs', 'xattrs', list(a), list(b));
  const holes = a.type === 'file' && a.allocated + SPARSE_SLACK_BYTES < a.size;
  if (holes && !ignore.has('sparse') && b.allocated > a.allocated + SPARSE_SLACK_BYTES)
    found.push(`allocated ${a.allocated} became ${b.allocated}`);
  return found;
}

const show = (path: string): string => (path === '' ? '.' : JSON.stringify(path).slice(1, -1));
