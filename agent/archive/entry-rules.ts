/**
 * What may stand beside what in an archive: names, duplicates, parents, link targets, the policy and the limits.
 *
 * Guarantees: a member that passes has a relative name without `..`, below directories alone, and no other member has it; a hard
 * link's target is a regular file that came before. Names are strings of bytes (latin1), never decoded.
 * Does not guarantee: anything about the file system; tree-writer.ts does not rely on these rules to stay inside.
 */
import { LongestPathSeen, USUAL_DEPTH, USUAL_PATH_BYTES } from './longest-path.ts';
import type { Member } from './member.ts';
import { PathIndex, type PathKind } from './path-index.ts';
import { refusal } from './refusal.ts';
import { SymlinkNames } from './symlink-names.ts';
import { noCounts } from './tree-counts.ts';
import type { Limits, LongestPath, Policy, ReadOptions, TreeCounts } from './types.ts';

const DEFAULT_MAX_ENTRIES = 2_000_000;
/** Without a manifest: what ext4 can hold in one file. The bytes that are really there are also held against the free space. */
const DEFAULT_MAX_BYTES = 16 * 2 ** 40;
const MAX_COMPONENT = 255;
/** A name may say its path with a `./` in front and a `/` behind. */
const SPELLING_BYTES = 3;
/** Own captures may hold longer paths than one argument can name; a manifest may say that they are even longer, or deeper. */
const MAX_PATH: Readonly<Record<Policy, number>> = { strict: USUAL_PATH_BYTES, faithful: 65_536 };

/**
 * `implied`: directories that the archive did not describe before something below them, outermost first. `target`: path of what this
 * is another name of, a file or a symlink; '' for none.
 */
export type Decision =
  | {
      readonly take: true;
      readonly path: string;
      readonly existed: boolean;
      readonly implied: readonly string[];
      readonly target: string;
    }
  | { readonly take: false; readonly reason: string; readonly implied: readonly string[] };

export class EntryRules {
  readonly #policy: Policy;
  readonly #leaveOut: boolean;
  readonly #rooted: boolean;
  readonly #limits: Required<Omit<Limits, 'maxRatio'>>;
  readonly #index = new PathIndex();
  readonly #longest = new LongestPathSeen();
  readonly #symlinks = new SymlinkNames();
  #lastParent = '';
  /** Of the archive, those that are left out included. */
  #entries = 0;
  #implied = 0;
  readonly counts = noCounts();

  constructor({ policy, limits, unrestorable, absoluteNames }: Omit<ReadOptions, 'archive'>) {
    this.#policy = policy;
    this.#leaveOut = unrestorable === 'leave-out';
    this.#rooted = absoluteNames === 'rooted';
    this.#limits = {
      maxEntries: limits?.maxEntries ?? DEFAULT_MAX_ENTRIES,
      maxBytes: limits?.maxBytes ?? DEFAULT_MAX_BYTES,
      maxPathBytes: limits?.maxPathBytes ?? MAX_PATH[policy],
      maxDepth: limits?.maxDepth ?? USUAL_DEPTH,
    };
    this.#index.set('', 'implied');
  }

  /** Throws ARCHIVE_REFUSED or ARCHIVE_LIMIT; else says where the member goes and which directories it implies. */
  admit(member: Member): Decision {
    const limits = this.#limits;
    const path = this.#normalize(member.name, member.type === 'directory');
    this.#entries += 1;
    if (this.#entries > limits.maxEntries)
      throw refusal(
        'ARCHIVE_LIMIT',
        'max-entries',
        `the archive has more than ${limits.maxEntries} entries`,
        member.name,
      );
    const leftOut = this.#leftOut(member);
    const implied = this.#admitParents(path, member.name);
    const kind = leftOut !== null || member.type === 'device' || member.type === 'fifo' ? 'left-out' : member.type;
    const existed = this.#admitSelf(path, member, kind);
    if (leftOut !== null) return { take: false, reason: leftOut, implied };
    this.#longest.add(path);
    if (member.type === 'symlink') checkSymlinkTarget(member);
    const target = member.type === 'hardlink' ? this.#hardLinkTarget(path, member) : this.#firstName(path, member);
    this.#count(member);
    if (this.counts.contentBytes > limits.maxBytes)
      throw refusal('ARCHIVE_LIMIT', 'max-bytes', `the archive holds more than ${limits.maxBytes} bytes`, member.name);
    return { take: true, path, existed, implied, target };
  }

  /** Whether the archive described its root and every directory that something lies in. */
  get describesAll(): boolean {
    return this.hasRoot && this.#implied === 0;
  }

  /** Whether the archive described its own root. */
  get hasRoot(): boolean {
    return this.#index.get('') === 'directory';
  }

  longestPath(): { readonly longestPath?: LongestPath } {
    return this.#longest.summary();
  }

  /** Why this entry is left out although the archive is read on, or null. */
  #leftOut(member: Member): string | null {
    const special = member.type === 'device' || member.type === 'fifo';
    const link = member.type === 'symlink' || member.type === 'hardlink';
    if (special || (link && this.#policy === 'strict')) {
      if (this.#leaveOut) return member.type;
      const rule = special ? 'special-file' : 'strict-link';
      throw refusal(
        'ARCHIVE_REFUSED',
        rule,
        `a ${member.type} is not restored under policy ${this.#policy}`,
        member.name,
      );
    }
    // Other readers leave such a link out and go on; so do we, and say so. It can neither be made nor be mistaken for another.
    return member.type === 'hardlink' && member.linkName.length === 0 ? 'hardlink-without-target' : null;
  }

  #admitParents(path: string, name: string): string[] {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    if (parent === this.#lastParent) return [];
    const implied: string[] = [];
    for (let at = parent; ; ) {
      const kind = this.#index.get(at);
      if (kind === 'directory' || kind === 'implied') break;
      if (kind !== undefined)
        throw refusal('ARCHIVE_REFUSED', 'below-non-directory', `an entry lies below a ${kind}`, name);
      this.#index.set(at, 'implied');
      implied.unshift(at);
      const up = at.lastIndexOf('/');
      at = up < 0 ? '' : at.slice(0, up);
    }
    this.#lastParent = parent;
    this.#implied += implied.length;
    // One entry can imply as many directories as its path has components.
    if (this.#implied > this.#limits.maxEntries + this.#limits.maxDepth)
      throw refusal(
        'ARCHIVE_LIMIT',
        'max-entries',
        'the archive implies more directories than it may have entries',
        name,
      );
    return implied;
  }

  /** Whether the directory is there already because something below it came first. */
  #admitSelf(path: string, member: Member, kind: PathKind): boolean {
    if (path === '' && member.type !== 'directory')
      throw refusal('ARCHIVE_REFUSED', 'root-not-directory', 'the root is not a directory', member.name);
    const before = this.#index.get(path);
    if (before !== undefined && !(before === 'implied' && member.type === 'directory'))
      throw refusal('ARCHIVE_REFUSED', 'duplicate-entry', 'the archive has an entry twice', member.name);
    this.#index.set(path, kind);
    return before !== undefined;
  }

  #hardLinkTarget(path: string, member: Member): string {
    let target: string;
    try {
      target = this.#normalize(member.linkName, false);
    } catch (cause) {
      throw refusal('ARCHIVE_REFUSED', 'hardlink-target', 'a hard link points outside the archive', member.name, cause);
    }
    const kind = this.#index.get(target);
    if ((kind !== 'file' && kind !== 'hardlink') || target === path)
      throw refusal(
        'ARCHIVE_REFUSED',
        'hardlink-target',
        'a hard link does not point to a file that came before it',
        member.name,
      );
    return target;
  }

  /** Path of the symlink that this is another name of, '' for none. */
  #firstName(path: string, member: Member): string {
    if (member.symlinkName === null) return '';
    const first = this.#normalize(member.symlinkName, false);
    if (first === path) {
      if (this.#symlinks.remember(path, member)) return '';
      throw refusal(
        'ARCHIVE_LIMIT',
        'symlink-names',
        'the archive has too many symlinks with other names',
        member.name,
      );
    }
    if (this.#symlinks.isSame(first, member)) return first;
    throw refusal(
      'ARCHIVE_REFUSED',
      'symlink-name',
      'a symlink says that it is another one, which is not so',
      member.name,
    );
  }

  #normalize(text: string, directory: boolean): string {
    const rooted = this.#rooted && text.startsWith('/') ? text.slice(1) : text;
    // What was the root of the other tool's file system is the root of the tree.
    return normalizeName(rooted === '' && text !== '' ? '.' : rooted, directory, this.#limits);
  }

  #count(member: Member): void {
    const { counts } = this;
    counts.entries += 1;
    counts.xattrs += member.xattrs.length;
    if (member.type === 'directory') counts.directories += 1;
    else if (member.type === 'symlink') counts.symlinks += 1;
    else if (member.type === 'hardlink') counts.hardLinks += 1;
    else {
      counts.files += 1;
      counts.contentBytes += member.size;
      if (member.sparse !== null) counts.sparseFiles += 1;
    }
  }
}

function checkSymlinkTarget(member: Member): void {
  const { length } = member.linkName;
  if (length === 0) throw refusal('ARCHIVE_REFUSED', 'empty-target', 'a symlink has no target', member.name);
  if (length > 4095)
    throw refusal('ARCHIVE_REFUSED', 'target-too-long', 'a symlink has a target of more than 4,095 bytes', member.name);
}

/** The path below the root, '' for the root itself. `.` components say nothing and go; everything else that is odd is refused. */
function normalizeName(
  text: string,
  directory: boolean,
  { maxPathBytes, maxDepth }: Pick<Required<Limits>, 'maxPathBytes' | 'maxDepth'>,
): string {
  const name = text;
  if (text === '') throw refusal('ARCHIVE_REFUSED', 'empty-name', 'an entry has no name', name);
  if (text.includes('\0')) throw refusal('ARCHIVE_REFUSED', 'nul-in-name', 'a name has a NUL inside', name);
  if (text.startsWith('/')) throw refusal('ARCHIVE_REFUSED', 'absolute-name', 'an entry has an absolute name', name);
  if (text.length > maxPathBytes + SPELLING_BYTES)
    throw refusal('ARCHIVE_LIMIT', 'path-too-long', `a path has more than ${maxPathBytes} bytes`, name);
  const parts = text.split('/');
  if (parts.at(-1) === '') {
    if (!directory)
      throw refusal('ARCHIVE_REFUSED', 'trailing-slash', 'the name of what is not a directory ends in a slash', name);
    parts.pop();
  }
  let clean = true;
  for (const part of parts) {
    if (part === '') throw refusal('ARCHIVE_REFUSED', 'empty-component', 'a name has an empty component', name);
    if (part === '..') throw refusal('ARCHIVE_REFUSED', 'dot-dot', 'a name has a component ".."', name);
    if (part === '.') clean = false;
    if (part.length > MAX_COMPONENT)
      throw refusal('ARCHIVE_LIMIT', 'name-too-long', `a name has more than ${MAX_COMPONENT} bytes`, name);
  }
  const kept = clean ? parts : parts.filter((part) => part !== '.');
  if (kept.length > maxDepth)
    throw refusal('ARCHIVE_LIMIT', 'too-deep', `a path has more than ${maxDepth} components`, name);
  const path = kept.join('/');
  if (path.length > maxPathBytes)
    throw refusal('ARCHIVE_LIMIT', 'path-too-long', `a path has more than ${maxPathBytes} bytes`, name);
  return path;
}

/** A difference between what was promised and what was found, or null. */
export function differentCount(expected: TreeCounts, found: TreeCounts): string | null {
  const keys = [
    'entries',
    'files',
    'directories',
    'symlinks',
    'hardLinks',
    'sparseFiles',
    'xattrs',
    'contentBytes',
  ] as const;
  const key = keys.find((name) => expected[name] !== found[name]);
  return key === undefined ? null : `${key}: ${expected[key]} promised, ${found[key]} found`;
}
