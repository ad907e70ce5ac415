/**
 * What a restore of an archive would change in a tree: read once, written nowhere.
 *
 * Guarantees: the extractor's own reader and rules; it ends soon after its time is over and says so; memory grows with a few bytes
 * per path. Entries are compared by type, size, owner, mode, link target and, apart from directories, by their time to the
 * nanosecond; contents are not read. A directory whose entries changed is not counted itself.
 * Does not guarantee: a picture of one moment, since the tree may be in use.
 */
import { closeSync } from 'node:fs';
import type { TreeChanges, TreeDifference } from '../../db/results.ts';
import { ByteQueue } from './byte-queue.ts';
import { DEFAULT_MAX_RATIO, openArchive } from './decode.ts';
import { DirFds } from './dir-fds.ts';
import { EntryRules } from './entry-rules.ts';
import type { Member } from './member.ts';
import { openRoot } from './open-root.ts';
import { PathIndex } from './path-index.ts';
import { escapeName } from './refusal.ts';
import { Skips } from './skips.ts';
import { EMPTY_NAME, readlinkat, S, type Stat, statx } from './syscalls.ts';
import { TarReader } from './tar-reader.ts';
import { vanishing } from './tree-list.ts';
import { walkTree } from './tree-walk.ts';
import type { CompareRequest } from './types.ts';

/** How often the clock is asked. */
const ENTRIES_BETWEEN_LOOKS = 256;

/** @throws RefloatError ARCHIVE_*, FILE_SYSTEM_FAILED */
export async function compareTree(request: CompareRequest): Promise<TreeDifference> {
  const comparison = new Comparison(request);
  const file = openArchive(request.archive, request.limits?.maxRatio ?? DEFAULT_MAX_RATIO);
  const rootFd = request.root === null ? null : openRoot(request.root);
  const live = rootFd === null ? null : new DirFds(rootFd);
  try {
    const reader = new TarReader(new ByteQueue(file.bytes));
    const rules = new EntryRules(request);
    for (let member = await reader.next(); member !== null; member = await reader.next()) {
      const decision = rules.admit(member);
      if (decision.take) comparison.archived(live, member, decision.path, decision.target);
      if (comparison.isLate()) return comparison.result(false);
    }
    return comparison.result(live === null || comparison.walk(live));
  } finally {
    live?.close();
    if (rootFd !== null) closeSync(rootFd);
    await file.close();
  }
}

class Comparison {
  readonly #names: number;
  readonly #until: number;
  readonly #inArchive = new PathIndex();
  readonly #kinds = { added: none(), changed: none(), removed: none() };
  #unchanged = 0;
  #looks = 0;

  constructor({ names, milliseconds }: CompareRequest) {
    this.#names = names;
    this.#until = performance.now() + milliseconds;
  }

  isLate(): boolean {
    this.#looks += 1;
    return this.#looks % ENTRIES_BETWEEN_LOOKS === 0 && performance.now() > this.#until;
  }

  archived(live: DirFds | null, member: Member, path: string, target: string): void {
    this.#inArchive.set(path, 'file');
    const stat = live === null ? null : statOf(live, path);
    if (live === null || stat === null) this.#note('added', path);
    else if (isSame(live, stat, member, path, target)) this.#unchanged += 1;
    else this.#note('changed', path);
  }

  /** What lives and is not in the archive. False if there was no time to look at all of it. */
  walk(live: DirFds): boolean {
    for (const { path } of walkTree(live, new Skips())) {
      if (this.#inArchive.get(path) === undefined && path !== '') this.#note('removed', path);
      if (this.isLate()) return false;
    }
    return true;
  }

  result(complete: boolean): TreeDifference {
    return { complete, unchanged: this.#unchanged, ...this.#kinds };
  }

  #note(kind: 'added' | 'changed' | 'removed', path: string): void {
    const found = this.#kinds[kind];
    found.count += 1;
    if (found.names.length < this.#names) found.names.push(path === '' ? '.' : escapeName(Buffer.from(path, 'latin1')));
  }
}

function none(): { -readonly [K in keyof TreeChanges]: K extends 'names' ? string[] : TreeChanges[K] } {
  return { count: 0, names: [] };
}

function statOf(live: DirFds, path: string): Stat | null {
  if (path === '') return statx(live.root, EMPTY_NAME);
  return vanishing(path, new Skips(), () => {
    const { dir, name } = live.locate(path);
    return statx(dir, name);
  });
}

function isSame(live: DirFds, stat: Stat, member: Member, path: string, target: string): boolean {
  if (member.type === 'hardlink') {
    const first = statOf(live, target);
    return first !== null && first.identity !== '' && first.identity === stat.identity;
  }
  const type = stat.mode & S.IFMT;
  const isWhatItWas =
    (member.type === 'file' && type === S.IFREG && stat.size === member.size) ||
    (member.type === 'directory' && type === S.IFDIR) ||
    (member.type === 'symlink' && type === S.IFLNK && linkAt(live, path) === member.linkName);
  if (!isWhatItWas || stat.uid !== member.uid || stat.gid !== member.gid) return false;
  if (member.type !== 'symlink' && (stat.mode & 0o7777) !== member.mode) return false;
  const { seconds, nanoseconds } = member.mtime;
  return member.type === 'directory' || (stat.mtimeSeconds === seconds && stat.mtimeNanoseconds === nanoseconds);
}

function linkAt(live: DirFds, path: string): string | null {
  return vanishing(path, new Skips(), () => {
    const { dir, name } = live.locate(path);
    return readlinkat(dir, name).toString('latin1');
  });
}
