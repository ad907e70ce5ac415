/** What pack.ts and its reader threads say to each other: a batch of entries one way, how far they filled a block the other. */
import type { ListedEntry, ListedKind } from './tree-list.ts';
import type { TreeCounts } from './types.ts';
import { frameBound } from './zstd-native.ts';

/** Of tar in one block, which becomes one frame. */
export const READER_BLOCK_BYTES = 3 * 1024 * 1024;
/** Of what a thread gives back: a frame, or a block as it is. */
export const READER_OUT_BYTES = frameBound(READER_BLOCK_BYTES);

export interface ReaderData {
  readonly root: number;
  /** That the root is on. */
  readonly mount: number;
}

export interface ReaderJob {
  readonly out: SharedArrayBuffer;
  /** Directories, and how many entries of each follow one another. */
  readonly parents: readonly string[];
  readonly runs: readonly number[];
  /** Of all entries, with slashes between them. */
  readonly names: string;
  /** First letter of each entry's kind. */
  readonly kinds: string;
}

export interface ReaderResult {
  /** Entries that the block has, or that are marked; the others are to be asked for again. */
  readonly done: number;
  /** Bytes of tar. */
  readonly used: number;
  /** Bytes in `out`: of the frame, or of the tar itself when there are marks or the thread has no zstd. */
  readonly length: number;
  readonly isFrame: boolean;
  readonly counts: TreeCounts;
  /** Index of the entry and its place in the block: of each that takes more than one look. */
  readonly marks: readonly (readonly [index: number, at: number])[];
}

export type ReaderMessage = { readonly ready: true } | ReaderResult;

const KINDS: Readonly<Record<string, ListedKind>> = { f: 'file', d: 'directory', s: 'symlink' };

export function encodeJob(entries: readonly ListedEntry[], out: SharedArrayBuffer): ReaderJob {
  const parents: string[] = [];
  const runs: number[] = [];
  const names: string[] = [];
  let kinds = '';
  for (const { parent, name, kind } of entries) {
    if (parents.at(-1) === parent) runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
    else {
      parents.push(parent);
      runs.push(1);
    }
    names.push(name);
    kinds += kind[0];
  }
  return { out, parents, runs, names: names.join('/'), kinds };
}

export function decodeJob({ parents, runs, names, kinds }: ReaderJob): ListedEntry[] {
  const all = names.split('/');
  const entries: ListedEntry[] = [];
  for (const [index, parent] of parents.entries()) {
    for (let left = runs[index] ?? 0; left > 0; left -= 1) {
      const kind = KINDS[kinds[entries.length] ?? ''];
      const name = all[entries.length];
      if (kind === undefined || name === undefined) throw new Error('a batch that is not one');
      entries.push({ parent, name, kind });
    }
  }
  return entries;
}
