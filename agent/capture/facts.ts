/** What the steps of a capture leave in the journal, by name of the step or note. Plain JSON. */

import type { Skipped } from '../../db/results.ts';
import type { WorkloadConfig } from '../../db/workload.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { FileSystemSpace } from '../fs/disk-space.ts';
import type { RootMetadata } from '../fs/root-metadata.ts';
import type { SnapshotSource } from '../snapshots/create-snapshot.ts';

export type Freeze = WorkloadConfig['capture']['freeze'];

/** Where one volume is copied, so that it can be archived after the containers run again. */
export interface Copy {
  readonly volume: string;
  readonly live: string;
  /** A file system is mounted at `live`. */
  readonly mountPoint: boolean;
  /** `.refloat-<intent id>` beside the outermost volume that `live` lies in, or inside that if it is a mount point; mode 0700. */
  readonly privateDirectory: string;
  readonly path: string;
  /** The file system can share blocks between files. */
  readonly reflink: boolean;
  readonly reserveBytes: number;
}

export interface CaptureFacts {
  preflight: {
    readonly snapshotId: string;
    readonly volumes: readonly SnapshotSource[];
    readonly image: string;
    readonly imageId: string;
    /** Containers that are the workload's without its label. */
    readonly adopted: readonly string[];
  };
  check_disk: {
    readonly fileSystems: readonly FileSystemSpace[];
    readonly contentBytes: number;
    /** None when the archives are written while the containers stand still. */
    readonly copies: readonly Copy[];
  };
  /** Of the roots that are mount points, before a private directory was made inside them; by volume. */
  roots: Readonly<Record<string, RootMetadata>>;
  copy: { readonly copied: boolean };
  catch_up: { readonly caughtUp: boolean; readonly taken: number };
  /** The container that the hook runs in; null if there is no hook, or nothing runs. Noted before the hook is run. */
  hookContainer: { readonly id: string; readonly name: string } | null;
  before_hook: { readonly ran: boolean };
  /** The workload's containers before the first one was touched. */
  containers: readonly QuiescedContainer[];
  /** RFC 3339; the moment before the first container was stopped or paused. */
  freezing: string;
  freeze: { readonly mode: Freeze; readonly frozen: readonly string[] };
  clone: {
    /** `archive`: the archives themselves were written inside the freeze. */
    readonly by: 'reflink' | 'copy' | 'archive';
    /** Files that had changed since the last pass. */
    readonly taken: number;
    /** By volume. */
    readonly skipped: Readonly<Record<string, readonly Skipped[]>>;
  };
  archive: { readonly path: string; readonly bytes: number; readonly entries: number };
  resume: { readonly downtimeMs: number };
  after_hook: { readonly ran: boolean };
  register: Record<string, never>;
}
