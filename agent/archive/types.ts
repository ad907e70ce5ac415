/** What capture and restore know of the archive. Sizes in bytes. */
import type { Skipped, TreeDifference } from '../../db/results.ts';

/**
 * `strict`: regular files and directories only, with owners, modes, times, `user.*` attributes and ACLs; set-id bits and privileged
 * attributes are dropped and reported. `faithful`: also symbolic and hard links, set-id bits, all attributes.
 */
export type Policy = 'strict' | 'faithful';

export type Progress = (bytesDone: number, entriesDone: number) => void;

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

export interface LongestPath {
  readonly bytes: number;
  readonly components: number;
}

/** See metadata-sums.ts. */
export interface MetadataSums {
  readonly owners: number;
  readonly modes: number;
  readonly times: number;
  readonly linkTargets: number;
}

export interface ArchiveSummary extends TreeCounts {
  /** SHA-256 of the archive file as it lies on disk, hex. */
  readonly sha256: string;
  readonly archiveBytes: number;
  /** Whether the archive has an entry for the root itself; without one its owner, mode and times are not known. */
  readonly hasRoot: boolean;
  /** Only of a tree with a path of more than 4,096 bytes or 256 components. */
  readonly longestPath?: LongestPath;
  /** Of an extraction whose archive describes its root and every directory. */
  readonly sums?: MetadataSums;
  readonly skipped: readonly Skipped[];
  /** What protection was missing while an archive was read, one sentence each; absent when nothing was. For people. */
  readonly warnings?: readonly string[];
}

export interface Limits {
  readonly maxEntries: number;
  /** Sum of the files' apparent sizes. */
  readonly maxBytes: number;
  /** Decompressed bytes per compressed byte over windows of 64 MiB; 200 unless given. */
  readonly maxRatio?: number;
  /** 4,096 under `strict`, 65,536 under `faithful` unless given. */
  readonly maxPathBytes?: number;
  /** Components of a path; 256 unless given. */
  readonly maxDepth?: number;
}

/** Of a tree on the disk. */
export interface Measured extends TreeCounts {
  readonly allocatedBytes: number;
  readonly sums: MetadataSums;
}

/** What an archive must turn out to be; a difference is `ARCHIVE_CHANGED` (digest, size) or `ARCHIVE_TRUNCATED` (counts). */
export interface Expected {
  readonly sha256?: string;
  readonly archiveBytes?: number;
  readonly counts?: TreeCounts;
}

/** How an archive is read, whether it is extracted or verified. Plain JSON: it goes to the child process as it is. */
export interface ReadOptions {
  readonly archive: string;
  readonly policy: Policy;
  /** What becomes of entries that the policy does not restore: the archive is refused (unless given), or they are left out and reported. */
  readonly unrestorable?: 'refuse' | 'leave-out';
  /** `rooted`: absolute names, as some backup tools write them, are taken as names below the destination. Refused unless given. */
  readonly absoluteNames?: 'refuse' | 'rooted';
  readonly limits?: Partial<Limits>;
  readonly expected?: Expected;
}

interface Watched {
  readonly signal?: AbortSignal;
  /** Bytes of file content read or written, without holes. */
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

export interface ExtractOptions extends ReadOptions, Watched {
  /** Must not exist; its parent must. Gone again after a refusal. */
  readonly destination: string;
}

export interface PackOptions extends Watched {
  readonly root: string;
  /** Must not exist. Written, fsynced, but not renamed: the caller publishes the directory it lies in. */
  readonly archive: string;
}

export interface VerifyOptions extends ReadOptions, Watched {}

export interface CopyOptions {
  readonly source: string;
  /** Beside the source. Must not exist for the first pass, and is the copy of the pass before for the others. */
  readonly destination: string;
  /** File that this pass writes for the next one; null for the last pass, inside the freeze. */
  readonly index: string | null;
  /** What the pass before has written; null for the first one. */
  readonly previousIndex: string | null;
  /** Share blocks where the file system does. */
  readonly reflink: boolean;
  /** Stop with `DISK_FULL` rather than leave less than this free. */
  readonly reserveBytes: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

export interface CopySummary {
  readonly entries: number;
  /** Entries that are not directories and were made in this pass. */
  readonly taken: number;
  readonly copiedBytes: number;
  /** Bytes of files that share their blocks with the originals. */
  readonly clonedBytes: number;
  readonly skipped: readonly Skipped[];
}

/** What is compared with an archive. Plain JSON: it goes to the child process as it is. */
export interface CompareRequest extends ReadOptions {
  /** Null for a directory that does not exist. */
  readonly root: string | null;
  /** Listed per kind of difference; the rest is counted. */
  readonly names: number;
  /** After this it ends with what it has. */
  readonly milliseconds: number;
}

/** The archive's verbs. Each runs in a child process, so that the agent goes on renewing its lease meanwhile. */
export interface Archiver {
  pack(options: PackOptions): Promise<ArchiveSummary>;
  extract(options: ExtractOptions): Promise<ArchiveSummary>;
  /** Reads the whole archive with the extractor's own parser, writing nothing. */
  verify(options: VerifyOptions): Promise<ArchiveSummary>;
  /** One pass of copying a tree beside itself; see copy-tree.ts. */
  copy(options: CopyOptions): Promise<CopySummary>;
  /** What an extraction would change in a tree; at a low priority, writing nothing. */
  compare(request: CompareRequest, signal?: AbortSignal): Promise<TreeDifference>;
  /** Walks a tree without reading its files. */
  measure(root: string): Promise<Measured>;
}
