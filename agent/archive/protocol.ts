/** What the agent and its archive child say to each other: one JSON request on stdin, JSON lines on stdout. */
import type { ErrorJson } from '../../db/errors.ts';
import type { TreeDifference } from '../../db/results.ts';
import type { ArchiveSummary, CompareRequest, CopyOptions, CopySummary, ReadOptions, TreeCounts } from './types.ts';

/** First argument that turns the program into its own archive child. Not for people. */
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
  | { readonly ok: ArchiveSummary | CopySummary | TreeDifference | (TreeCounts & { readonly allocatedBytes: number }) }
  | { readonly error: ErrorJson };
