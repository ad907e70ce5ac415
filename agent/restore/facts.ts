/** What the steps of a restore leave in the journal, by name of the step or note. Plain JSON. */
import type { Fidelity, HeldTree, Skipped } from '../../db/results.ts';
import type { Scope } from '../../db/scopes.ts';
import type { LongestPath, Policy, TreeCounts } from '../archive/types.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { FileSystemSpace } from '../fs/disk-space.ts';
import type { Identity } from '../fs/durable.ts';
import type { RootMetadata } from '../fs/root-metadata.ts';

/** One volume of the restore, with every path that the saga touches for it. */
export interface Target {
  readonly volume: string;
  readonly scope: Scope;
  readonly source: string;
  /** Path inside the containers. */
  readonly mountedAt: string;
  readonly live: string;
  /** Containers that are not the workload's may mount it, and are stopped as well. */
  readonly shared: boolean;
  /** False if there was no live directory; then an empty one stands in for the previous tree. */
  readonly existed: boolean;
  /** A file system is mounted at `live`, so that not it but its entries change places. */
  readonly mountPoint: boolean;
  /** The outermost volume whose directory this one lies in: both trees change places as one. Null for one that moves by itself. */
  readonly within: string | null;
  /** `.refloat-<intent id>` beside `live`, or inside it if it is a mount point; mode 0700. The outermost volume's, if it lies in one. */
  readonly privateDirectory: string;
  /** Before the swap the new tree, after it the previous one. */
  readonly staging: string;
  /** Null when the new tree is one that an earlier intent holds (undo). */
  readonly archive: {
    readonly path: string;
    readonly sha256: string;
    readonly archiveBytes: number;
    readonly counts: TreeCounts;
    readonly longestPath?: LongestPath | undefined;
    readonly policy: Policy;
  } | null;
}

/** One name that changes places. */
export interface ExchangedName {
  /** Below the live and the staged directory, bytes in base64; null for the directories themselves. */
  readonly name: string | null;
  /** What was live before the swap, and what was staged; null where the side has no such name. */
  readonly old: Identity | null;
  readonly new: Identity | null;
}

export interface Exchange {
  readonly volume: string;
  readonly live: string;
  readonly staging: string;
  readonly names: readonly ExchangedName[];
  /** Owner, mode, time and xattrs of the two roots. */
  readonly roots: { readonly old: RootMetadata; readonly new: RootMetadata };
}

export interface RestoreFacts {
  preflight: {
    readonly targets: readonly Target[];
    /** Of every volume of the configuration, restored or not: live directory by volume. */
    readonly hostPaths: Readonly<Record<string, string>>;
    /** Containers that are the workload's without its label. */
    readonly adoptedIds: readonly string[];
    readonly imageId: string;
    readonly image: string;
    /** undo: the intent whose held trees come back. */
    readonly adoptedFrom: string | null;
  };
  check_disk: { readonly fileSystems: readonly FileSystemSpace[] };
  /** Directories above a missing live directory (and, inside another volume, that directory), outermost first, noted before they are made. */
  parents: readonly string[];
  /** Of the live roots that are mount points, before a private directory was made inside them; by volume. */
  roots: Readonly<Record<string, RootMetadata>>;
  stage: {
    readonly restored: readonly { readonly volume: string; readonly counts: TreeCounts }[];
    readonly fidelity: readonly Fidelity[];
    readonly skipped: readonly Skipped[];
  };
  /** The workload's containers before the first one was stopped. */
  containers: readonly QuiescedContainer[];
  /** Active containers that are not the workload's and mount its shared volumes. */
  others: readonly QuiescedContainer[];
  /** RFC 3339; the moment before the first stop. */
  stopping: string;
  quiesce: { readonly stopped: readonly string[] };
  exchanges: readonly Exchange[];
  /**
   * Volumes whose entries have all changed places, durably; noted before a container may start. From here on the application may
   * replace, remove and add entries, so that those of the new tree are nobody's to look for.
   */
  arrived: readonly string[];
  /** The way back of an application's run: `exchanges`, with what it left at each name as the new side. Noted before the first one moves. */
  returning: readonly Exchange[];
  swap: { readonly exchanged: readonly string[] };
  redeploy: {
    readonly containers: readonly string[];
    readonly started: readonly string[];
    readonly recreated: boolean;
    readonly downtimeMs: number;
  };
  health: Record<string, never>;
  undoUntil: string;
  preRestoreSnapshotId: string;
  preserve: { readonly snapshotId: string; readonly path: string };
  cleanup: { readonly held: readonly HeldTree[]; readonly undoUntil: string };
}
