/**
 * The shapes of what the archive's child answers, and of the parts that manifests have in common with it.
 *
 * Guarantees: nothing but these members, and lists no longer than an honest child makes them.
 */
import { z } from 'zod';
import type { TreeDifference } from '../../db/results.ts';
import { MAX_ROWS } from './skips.ts';
import type { ArchiveSummary, CopySummary, Measured } from './types.ts';

export const COUNT = z.int().min(0);
export const SHA256 = z.string().regex(/^[0-9a-f]{64}$/);
export const LONGEST_PATH = z.strictObject({ bytes: COUNT, components: COUNT });
export const SKIPPED = z.strictObject({
  volume: z.string().exactOptional(),
  path: z.string(),
  reason: z.string().max(64),
  detail: z.string().exactOptional(),
  count: COUNT.exactOptional(),
});

/** The counts of a tree, each a number as `count` takes it. */
export const treeCounts = <T extends z.ZodType<number>>(count: T) => ({
  entries: count,
  files: count,
  directories: count,
  symlinks: count,
  hardLinks: count,
  sparseFiles: count,
  xattrs: count,
  contentBytes: count,
});

/** Holes make sizes of any number of digits. */
const SIZE = z.number().min(0);
const SUMS = z.strictObject({ owners: COUNT, modes: COUNT, times: COUNT, linkTargets: COUNT });
const MAX_NAMES = 1000;
const WARNINGS = listOf(z.string(), MAX_NAMES).exactOptional();
const CHANGES = z.strictObject({ count: COUNT, names: listOf(z.string(), MAX_NAMES) });

export const SUMMARY: z.ZodType<ArchiveSummary> = z.strictObject({
  ...treeCounts(SIZE),
  sha256: SHA256,
  archiveBytes: SIZE,
  hasRoot: z.boolean(),
  longestPath: LONGEST_PATH.exactOptional(),
  sums: SUMS.exactOptional(),
  skipped: listOf(SKIPPED, MAX_ROWS),
  warnings: WARNINGS,
});

export const COPY_SUMMARY: z.ZodType<CopySummary> = z.strictObject({
  entries: COUNT,
  taken: COUNT,
  copiedBytes: SIZE,
  clonedBytes: SIZE,
  skipped: listOf(SKIPPED, MAX_ROWS),
});

export const DIFFERENCE: z.ZodType<TreeDifference> = z.strictObject({
  complete: z.boolean(),
  unchanged: COUNT,
  added: CHANGES,
  changed: CHANGES,
  removed: CHANGES,
  warnings: WARNINGS,
});

export const MEASURED: z.ZodType<Measured> = z.strictObject({
  ...treeCounts(SIZE),
  allocatedBytes: SIZE,
  sums: SUMS,
});

/** Its length is looked at first: each wrong element takes an error of its own. */
function listOf<T extends z.ZodType>(element: T, most: number) {
  return z.array(z.unknown()).max(most).pipe(z.array(element));
}
