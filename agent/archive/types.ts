/** What capture and restore know of the archive. Sizes in bytes. */
import type { Skipped } from '../../db/results.ts';

/** `strict`: regular files and directories only. `faithful`: also symbolic and hard links, owners, set-id bits, xattrs. */
export type Policy = 'strict' | 'faithful';

/** Counts of one tree, written into the manifest by capture and compared by restore. */
export interface TreeCounts {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  readonly sparseFiles: number;
  readonly xattrs: number;
  /** Sum of the files' sizes (apparent, not allocated). */
  readonly contentBytes: number;
}

export interface ArchiveSummary extends TreeCounts {
  /** SHA-256 of the archive file as it lies on disk, hex. */
  readonly sha256: string;
  readonly archiveBytes: number;
  readonly skipped: readonly Skipped[];
}

export interface Limits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What an archive must turn out to be; a difference is `ARCHIVE_CHANGED` (digest, size) or `ARCHIVE_TRUNCATED` (counts). */
export interface Expected {
  readonly sha256?: string;
  readonly archiveBytes?: number;
  readonly counts?: TreeCounts;
}

export interface ExtractOptions {
  readonly archive: string;
  /** Must not exist; its parent must. Gone again after a refusal. */
  readonly destination: string;
  readonly policy: Policy;
  readonly limits?: Partial<Limits>;
  readonly expected?: Expected;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

export interface PackOptions {
  readonly root: string;
  /** Must not exist. Written, fsynced, but not renamed: the caller publishes the directory it lies in. */
  readonly archive: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

export interface VerifyOptions {
  readonly archive: string;
  readonly policy: Policy;
  readonly limits?: Partial<Limits>;
  readonly expected?: Expected;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

/** The archive's four verbs. Each runs in a child process, so that the agent goes on renewing its lease meanwhile. */
export interface Archiver {
  pack(options: PackOptions): Promise<ArchiveSummary>;
  extract(options: ExtractOptions): Promise<ArchiveSummary>;
  /** Reads the whole archive with the extractor's own parser, writing nothing. */
  verify(options: VerifyOptions): Promise<ArchiveSummary>;
  /** Walks a tree without reading its files. */
  measure(root: string): Promise<TreeCounts & { readonly allocatedBytes: number }>;
}
