/**
 * Builds a tree below a staging root from members that entry-rules.ts admitted.
 *
 * Guarantees: every call is relative to a directory descriptor and follows no symlink; hard links and symlinks come after all files,
 * directory metadata after that, deepest first, the root's last.
 */
import type { DirFds } from './dir-fds.ts';
import { FileWriter, type Metadata, type OnSkip, writeAll } from './file-writer.ts';
import { fileSystemError } from './fs-error.ts';
import { makeHardLink, makeSymlink } from './link-writer.ts';
import type { Member } from './member.ts';
import { refusal } from './refusal.ts';
import { Spool, SpoolBudget } from './spool.ts';
import { close, ftruncate, mkdirat, O, openat, S } from './syscalls.ts';
import type { TarReader } from './tar-reader.ts';
import { WriterPool } from './writer-pool.ts';
import { MAX_SMALL_BYTES } from './writer-protocol.ts';

/** Starting threads takes as long as writing a few hundred files. */
const FILES_BEFORE_THREADS = 64;

export class TreeWriter {
  readonly #root: number;
  readonly #dirs: DirFds;
  readonly #files: FileWriter;
  readonly #onSkip: OnSkip;
  readonly #budget = new SpoolBudget();
  readonly #symlinks = new Spool<{ path: string; target: string; meta: Metadata }>(this.#budget);
  readonly #hardLinks = new Spool<{ path: string; target: string }>(this.#budget);
  readonly #symlinkNames = new Spool<{ path: string; target: string }>(this.#budget);
  /** By depth. */
  readonly #directories: Spool<{ path: string; meta: Metadata }>[] = [];
  #rootMeta: Metadata | null = null;
  #pool: WriterPool | null = null;
  #written = 0;

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
    this.#directories[depth] ??= new Spool(this.#budget);
    this.#directories[depth].push({ path, meta });
  }

  #mkdir(path: string, mode: number): void {
    guard(path, () => {
      const { dir, name } = this.#dirs.locate(path);
      mkdirat(dir, name, mode);
    });
  }

  /** Small files go to the threads, once there are enough of them to be worth starting some. */
  file(
    path: string,
    meta: Metadata,
    member: Member,
    reader: TarReader,
    onBytes: (bytes: number) => void,
  ): Promise<void> | null {
    if (member.sparse === null && member.dataBytes <= MAX_SMALL_BYTES) {
      const data = reader.wholeData();
      if (data === null) return this.#smallFileAcrossChunks(path, meta, reader, onBytes);
      onBytes(data.length);
      return this.#smallFile(path, meta, data);
    }
    return this.#largeFile(path, meta, member, reader, onBytes);
  }

  async #smallFileAcrossChunks(
    path: string,
    meta: Metadata,
    reader: TarReader,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const data = await reader.collectData();
    onBytes(data.length);
    await this.#smallFile(path, meta, data);
  }

  #smallFile(path: string, meta: Metadata, data: Buffer): Promise<void> | null {
    if (this.#pool?.ready === true && this.#pool.fits(path, meta, data.length)) return this.#pool.add(path, meta, data);
    this.#written += 1;
    if (this.#written === FILES_BEFORE_THREADS) this.#pool = new WriterPool(this.#root, this.#onSkip);
    guard(path, () => {
      const fd = this.#files.create(path, meta.mode);
      try {
        this.#files.fill(fd, path, meta, data);
      } finally {
        close(fd);
      }
    });
    return null;
  }

  async #largeFile(
    path: string,
    meta: Metadata,
    member: Member,
    reader: TarReader,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const fd = guard(path, () => this.#files.create(path, meta.mode));
    try {
      const { sparse } = member;
      if (sparse === null)
        for (let piece = await reader.data(1_048_576); piece !== null; piece = await reader.data(1_048_576)) {
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
    } finally {
      close(fd);
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

  /** Another name for a file or symlink that came before. */
  otherName(path: string, target: string, ofSymlink: boolean): void {
    (ofSymlink ? this.#symlinkNames : this.#hardLinks).push({ path, target });
  }

  /** Links, then the metadata of directories. Call once, after the last member. */
  async complete(): Promise<void> {
    await this.#pool?.drain();
    for (const { path, target } of this.#hardLinks) guard(path, () => makeHardLink(this.#dirs, path, target, S.IFREG));
    for (const link of this.#symlinks) guard(link.path, () => makeSymlink(this.#dirs, link, this.#onSkip));
    for (const { path, target } of this.#symlinkNames)
      guard(path, () => makeHardLink(this.#dirs, path, target, S.IFLNK));
    for (const level of this.#directories.reverse()) {
      if (level === undefined) continue;
      for (const { path, meta } of level) guard(path, () => this.#directoryMeta(path, meta));
    }
    const rootMeta = this.#rootMeta;
    if (rootMeta !== null) guard('', () => this.#files.apply(this.#root, '', rootMeta, true));
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

  /** Call it in every case: nothing is being written any more when it returns. */
  async close(): Promise<void> {
    await this.#pool?.stop();
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
