/**
 * Lists a tree the way an archive wants it, without a look at the entries themselves: a directory before what is in it, names in byte
 * order.
 *
 * Guarantees: follows no symlink, stays on the root's mount, tolerates entries that vanish; what has no place in an archive is named in
 * the skips.
 * Does not guarantee: that an entry still is what it was listed as. Whoever looks at it leaves it out then: what lies below a directory
 * may be in the archive already.
 */
import type { DirFds } from './dir-fds.ts';
import { type DirectoryNames, readNames } from './dir-names.ts';
import type { Skips } from './skips.ts';
import { close, cString, EMPTY_NAME, O, openat, S, scratchName, statx } from './syscalls.ts';

export type ListedKind = 'file' | 'directory' | 'symlink';

export interface ListedEntry {
  /** Path of the directory that it is in, latin1 bytes; '' for the root. */
  readonly parent: string;
  /** '' for the root itself. */
  readonly name: string;
  readonly kind: ListedKind;
}

const KINDS: Readonly<Record<number, ListedKind>> = {
  [S.IFREG]: 'file',
  [S.IFDIR]: 'directory',
  [S.IFLNK]: 'symlink',
};

const SPECIAL: Readonly<Record<number, string>> = {
  [S.IFSOCK]: 'socket',
  [S.IFIFO]: 'fifo',
  [S.IFBLK]: 'device',
  [S.IFCHR]: 'device',
};

/** What a mode says; undefined for what no archive has. */
export const kindOf = (mode: number): ListedKind | undefined => KINDS[mode & S.IFMT];

/** '' for the root. */
export const pathOf = ({ parent, name }: ListedEntry): string => (parent === '' ? name : `${parent}/${name}`);

interface Level {
  readonly path: string;
  readonly names: readonly string[];
  readonly types: DirectoryNames['types'];
  next: number;
}

export function* listTree(dirs: DirFds, skips: Skips): Generator<ListedEntry> {
  const { mount } = statx(dirs.root, EMPTY_NAME);
  const root = listed(dirs, { parent: '', name: '', kind: 'directory' }, mount);
  yield { parent: '', name: '', kind: 'directory' };
  const stack: Level[] = [{ path: '', ...withoutOwn(dirs, root, mount, skips), next: 0 }];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names[level.next];
    if (name === undefined) {
      stack.pop();
      continue;
    }
    level.next += 1;
    const kind = kindOrSkip(dirs, level, name, skips);
    if (kind === null) continue;
    const entry = { parent: level.path, name, kind };
    if (kind !== 'directory') yield entry;
    else {
      const path = pathOf(entry);
      const below = vanishing(path, skips, () => listed(dirs, entry, mount));
      if (below === null) continue;
      yield entry;
      if (below.mounted) skips.add(path, 'mount-point');
      else stack.push({ path, ...below, next: 0 });
    }
  }
}

function kindOrSkip(dirs: DirFds, { path, types }: Level, name: string, skips: Skips): ListedKind | null {
  let type = types.get(name) ?? S.IFREG;
  const full = path === '' ? name : `${path}/${name}`;
  // Not every file system tells.
  if (KINDS[type] === undefined && SPECIAL[type] === undefined) {
    const stat = vanishing(full, skips, () => statx(dirs.get(path), scratchName(name)));
    if (stat === null) return null;
    type = stat.mode & S.IFMT;
  }
  const special = SPECIAL[type];
  if (special !== undefined) skips.add(full, special);
  return KINDS[type] ?? null;
}

/** What is in a directory, unless it is of another mount than the root's. */
function listed(dirs: DirFds, entry: ListedEntry, mount: number): DirectoryNames & { readonly mounted: boolean } {
  const fd = openDirectory(dirs, entry);
  try {
    const mounted = statx(fd, EMPTY_NAME).mount !== mount;
    return { mounted, ...(mounted ? { names: [], types: new Map() } : readNames(fd)) };
  } finally {
    close(fd);
  }
}

/** For reading. @throws SystemCallError */
export function openDirectory(dirs: DirFds, { parent, name }: ListedEntry): number {
  // An O_PATH descriptor does not list, but "." through it opens.
  const dir = dirs.get(parent);
  return openat(dir, name === '' ? cString('.') : scratchName(name), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
}

/**
 * What a volume's root holds of the volume. Not: trees that the agent keeps inside a mount point for an undo, and the
 * directory that a file system keeps for itself at its root.
 */
function withoutOwn(dirs: DirFds, { names, types }: DirectoryNames, mount: number, skips: Skips): DirectoryNames {
  const isMountPoint = statx(dirs.root, cString('..')).mount !== mount;
  if (isMountPoint && names.includes('lost+found')) skips.add('lost+found', 'file-system');
  return { names: names.filter((name) => !OWN_NAME.test(name) && !(isMountPoint && name === 'lost+found')), types };
}

/** See the restore's private directories. */
const OWN_NAME = /^\.refloat-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The action's result, or null with a note when the entry is gone or not the one that was listed. */
export function vanishing<T>(path: string, skips: Skips, action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP' && code !== 'ESTALE') throw error;
    skips.add(path, 'vanished');
    return null;
  }
}
