/** The limits under which an archive of a snapshot is read: what its manifest says it has, and not more. */
import { USUAL_DEPTH, USUAL_PATH_BYTES } from '../archive/longest-path.ts';
import type { Limits, LongestPath, TreeCounts } from '../archive/types.ts';

export interface Described {
  readonly counts: Pick<TreeCounts, 'entries' | 'contentBytes'>;
  readonly longestPath?: LongestPath | undefined;
}

export function limitsOf({ counts, longestPath }: Described): Limits {
  return {
    maxEntries: Math.max(counts.entries, 1),
    maxBytes: counts.contentBytes,
    maxPathBytes: Math.max(longestPath?.bytes ?? 0, USUAL_PATH_BYTES),
    maxDepth: Math.max(longestPath?.components ?? 0, USUAL_DEPTH),
  };
}
