/** What the agent and its archive child say to each other: one JSON request on a pipe, JSON lines on stdout. */
import type { ErrorJson } from '../../db/errors.ts';
import type { TreeDifference } from '../../db/results.ts';
import type { ArchiveSummary, CompareRequest, CopyOptions, CopySummary, Measured, ReadOptions } from './types.ts';

/** The descriptor of that pipe; it closes when the agent is gone. */
export const REQUEST_FD = 3;

/** What the child shows in a list of processes. */
export const CHILD_COMMAND = '__archive-child';

export type ChildRequest =
  | { readonly verb: 'pack'; readonly root: string; readonly archive: string }
  | (ReadOptions & {
      readonly verb: 'extract';
      /** False only in tests of the first wall. */
      readonly wall: boolean;
      /** Created by the agent, empty, so that the agent knows that it may be removed. */
      readonly destination: string;
    })
  | (ReadOptions & { readonly verb: 'verify'; readonly wall: boolean })
  | ({ readonly verb: 'copy' } & Omit<CopyOptions, 'signal' | 'onProgress'>)
  | (CompareRequest & { readonly verb: 'compare'; readonly wall: boolean })
  | { readonly verb: 'measure'; readonly root: string };

export type ChildMessage =
  | { readonly progress: readonly [bytesDone: number, entriesDone: number] }
  | { readonly ok: ArchiveSummary | CopySummary | TreeDifference | Measured }
  | { readonly error: ErrorJson };
