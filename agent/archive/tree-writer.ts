/**
 * Builds a tree below a staging root from members that entry-rules.ts admitted.
 *
 * Guarantees: every call is relative to a directory descriptor and follows no symlink; hard links and symlinks come after all files,
 * directory metadata after that, deepest first, the root's last.
 */
import type { DirFds } from './dir-fds.ts';
import { FileWriter, type Metadata, type OnSkip, trySetXattr, writeAll } from './file-writer.ts';
import { refusal } from './refusal.ts';
import { Spool } from './spool.ts';
import {
  close,
  cString,
  ftruncate,
  lchownat,
  linkat,
  lsetxattr,
  lutimensat,
  mkdirat,
  O,
  openat,
  S,
  SystemCallError,
  statx,
  symlinkat,
} from './syscalls.ts';
import type { Member, TarReader } from './tar-reader.ts';

const euid = process.geteuid?.() ?? 0;

export class TreeWriter {
  readonly #root: number;
  readonly #dirs: DirFds;
  readonly #files: FileWriter;
  readonly #onSkip: OnSkip;
  readonly #symlinks = new Spool<{ path: string; target: string; meta: Metadata }>();
  readonly #hardLinks = new Spool<{ path: string; target: string }>();
  /** By depth. */
  readonly #directories: Spool<{ path: string; meta: Metadata }>[] = [];
  #rootMeta: Metadata | null = null;

  constructor(root: number, onSkip: OnSkip) {
    this.#root = root;
    this.#onSkip = onSkip;
    this.#files = new FileWriter(root, onSkip);
    this.#dirs = this.#files.dirs;
  }

  implied(path: string): void {
    this.#mkdir(path, 0o755);
  }

  directory(path: string, meta: Metadata, existed: boolean): void {
    if (path === '') {
      this.#rootMeta = meta;
      return;
    }
    if (!existed) this.#mkdir(path, 0o700);
    const depth = path.split('/').length;
    this.#directories[depth] ??= new Spool();
    this.#directories[depth].push({ path, meta });
  }

  #mkdir(path: string, mode: number): void {
    guard(path, () => {
      const { dir, name } = this.#dirs.locate(path);
      mkdirat(dir, name, mode);
    });
  }

  async file(
    path: string,
    meta: Metadata,
    member: Member,
    reader: TarReader,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const fd = guard(path, () => this.#files.create(path, meta.mode));
    let closed = false;
    try {
      const { sparse } = member;
      if (sparse === null)
        for (
          let piece = reader.wholeData() ?? (await reader.data(1_048_576));
          piece !== null && piece.length > 0;
          piece = await reader.data(1_048_576)
        ) {
          const bytes = piece;
          guard(path, () => writeAll(fd, bytes, null));
          onBytes(bytes.length);
        }
      else {
        // First, so that no write extends the file: xfs would allocate ahead of it.
        guard(path, () => ftruncate(fd, sparse.realSize));
        await this.#sparseData(fd, path, sparse.segments, reader, onBytes);
      }
      guard(path, () => this.#files.finish(fd, path, meta));
      closed = true;
    } finally {
      if (!closed) close(fd);
    }
  }

  async #sparseData(
    fd: number,
    path: string,
    segments: readonly number[],
    reader: TarReader,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    for (let index = 0; index < segments.length; index += 2) {
      let offset = segments[index] ?? 0;
      for (let left = segments[index + 1] ?? 0; left > 0; ) {
        const piece = await reader.data(Math.min(left, 1_048_576));
        if (piece === null)
          throw refusal(
            'ARCHIVE_TRUNCATED',
            'truncated-body',
            'the archive ends inside a file',
            Buffer.from(path, 'latin1'),
          );
        const at = offset;
        guard(path, () => writeAll(fd, piece, at));
        onBytes(piece.length);
        offset += piece.length;
        left -= piece.length;
      }
    }
  }

  symlink(path: string, target: string, meta: Metadata): void {
    this.#symlinks.push({ path, target, meta });
  }

  hardLink(path: string, target: string): void {
    this.#hardLinks.push({ path, target });
  }

  /** Links, then the metadata of directories. Call once, after the last member. */
  complete(): void {
    for (const { path, target } of this.#hardLinks) guard(path, () => this.#link(path, target));
    for (const link of this.#symlinks) guard(link.path, () => this.#symlink(link));
    for (const level of this.#directories.reverse()) {
      if (level === undefined) continue;
      for (const { path, meta } of level) guard(path, () => this.#directoryMeta(path, meta));
    }
    const rootMeta = this.#rootMeta;
    if (rootMeta !== null) guard('', () => this.#files.apply(this.#root, '', rootMeta, true));
  }

  #link(path: string, target: string): void {
    // Each descriptor is only valid until the next is asked for, so the target's parent is opened on its own.
    const from = this.#dirs.locate(target);
    const fromDir = openat(from.dir, cString('.'), O.PATH | O.DIRECTORY | O.NOFOLLOW);
    try {
      if ((statx(fromDir, from.name).mode & S.IFMT) !== S.IFREG) throw new SystemCallError('linkat', 1);
      const to = this.#dirs.locate(path);
      linkat(fromDir, from.name, to.dir, to.name);
    } finally {
      close(fromDir);
    }
  }

  #symlink({ path, target, meta }: { path: string; target: string; meta: Metadata }): void {
    const { dir, name } = this.#dirs.locate(path);
    symlinkat(cString(target), dir, name);
    try {
      lchownat(dir, name, meta.uid, meta.gid);
    } catch (error) {
      if (euid === 0 || !(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
      this.#onSkip(path, 'owner-refused');
    }
    const full = Buffer.concat([Buffer.from(`/proc/self/fd/${dir}/`), name]);
    for (const [key, value] of meta.xattrs)
      trySetXattr(path, key, () => lsetxattr(full, cString(key), Buffer.from(value, 'latin1')), this.#onSkip);
    lutimensat(dir, name, meta.seconds, meta.nanoseconds);
  }

  #directoryMeta(path: string, meta: Metadata): void {
    const { dir, name } = this.#dirs.locate(path);
    const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      this.#files.apply(fd, path, meta, true);
    } finally {
      close(fd);
    }
  }

  close(): void {
    this.#files.close();
  }
}

/** Turns what the file system says into the archive's own errors, with the entry. */
function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileSystemError(path, error);
  }
}

export function fileSystemError(path: string, error: unknown): unknown {
  if (!(error instanceof SystemCallError)) return error;
  const entry = Buffer.from(path, 'latin1');
  switch (error.code) {
    case 'EEXIST':
      return refusal('ARCHIVE_REFUSED', 'duplicate-entry', 'the archive has an entry twice', entry, error);
    case 'ELOOP':
    case 'ENOTDIR':
      return refusal(
        'ARCHIVE_REFUSED',
        'below-non-directory',
        'an entry lies below what is not a directory',
        entry,
        error,
      );
    case 'ENAMETOOLONG':
      return refusal('ARCHIVE_LIMIT', 'name-too-long', 'the file system refuses the name', entry, error);
    case 'EFBIG':
      return refusal(
        'ARCHIVE_LIMIT',
        'file-too-large',
        'the file system cannot hold a file of this size',
        entry,
        error,
      );
    case 'EILSEQ':
      return refusal('ARCHIVE_REFUSED', 'name-refused', 'the file system refuses the bytes of the name', entry, error);
    case 'EMLINK':
      return refusal('ARCHIVE_LIMIT', 'too-many-links', 'the file system refuses more links to a file', entry, error);
    case 'ENOSPC':
    case 'EDQUOT':
      return refusal('DISK_FULL', 'disk-full', 'the file system of the destination is full', entry, error);
    default:
      return refusal('FILE_SYSTEM_FAILED', 'file-system', `the file system failed (${error.message})`, entry, error);
  }
}
