/** What the steps of a capture leave in the journal, by name of the step or note. Plain JSON. */
import type { WorkloadConfig } from '../../db/workload.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { FileSystemSpace } from '../fs/disk-space.ts';
import type { SnapshotSource } from '../snapshots/create-snapshot.ts';

export type Freeze = WorkloadConfig['capture']['freeze'];

export interface CaptureFacts {
  preflight: {
    readonly snapshotId: string;
    readonly volumes: readonly SnapshotSource[];
    readonly image: string;
    readonly imageId: string;
    /** Containers that are the workload's without its label. */
    readonly adopted: readonly string[];
  };
  check_disk: { readonly fileSystems: readonly FileSystemSpace[]; readonly contentBytes: number };
  /** The container that the hook runs in; null if there is no hook, or nothing runs. Noted before the hook is run. */
  hookContainer: { readonly id: string; readonly name: string } | null;
  before_hook: { readonly ran: boolean };
  /** The workload's containers before the first one was touched. */
  containers: readonly QuiescedContainer[];
  /** RFC 3339; the moment before the first container was touched. */
  freezing: string;
  freeze: { readonly mode: Freeze; readonly frozen: readonly string[] };
  archive: { readonly path: string; readonly bytes: number; readonly entries: number };
  resume: { readonly downtimeMs: number };
  after_hook: { readonly ran: boolean };
  register: Record<string, never>;
}
