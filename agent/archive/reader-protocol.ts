/** What pack.ts and its reader threads say to each other: a batch of entries one way, how they fill a block the other. */
import type { Stat } from './syscalls.ts';
import type { WalkItem } from './tree-walk.ts';
import type { TreeCounts } from './types.ts';

export const READER_BLOCK_BYTES = 2 * 1024 * 1024;

export interface ReaderData {
  readonly root: number;
}

export interface ReaderJob {
  readonly block: SharedArrayBuffer;
  readonly paths: readonly string[];
  readonly kinds: readonly WalkItem['kind'][];
  readonly targets: readonly string[];
  readonly stats: Float64Array;
}

export interface ReaderResult {
  readonly used: number;
  readonly counts: TreeCounts;
  /** Index of the entry, where it begins and ends in the block: of each that could not be put, and of each hard link. */
  readonly marks: readonly (readonly [index: number, start: number, end: number])[];
}

export type ReaderMessage = { readonly ready: true } | ReaderResult;

const STAT_NUMBERS = 12;

/** @param block what the entries are put into */
export function encodeJob(items: readonly WalkItem[], block: SharedArrayBuffer): ReaderJob {
  const stats = new Float64Array(items.length * STAT_NUMBERS);
  items.forEach(({ stat }, index) => {
    const { mode, uid, gid, size, blocks, nlink, ino, mount } = stat;
    const { mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds } = stat;
    const numbers = [mode, uid, gid, size, blocks, nlink, ino, mount];
    stats.set([...numbers, mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds], index * STAT_NUMBERS);
  });
  return {
    block,
    paths: items.map(({ path }) => path),
    kinds: items.map(({ kind }) => kind),
    targets: items.map(({ target }) => target),
    stats,
  };
}

export function decodeJob({ paths, kinds, targets, stats }: ReaderJob): WalkItem[] {
  return paths.map((path, index) => ({
    path,
    kind: kinds[index] ?? 'file',
    target: targets[index] ?? '',
    stat: decodeStat(stats, index * STAT_NUMBERS),
  }));
}

function decodeStat(numbers: Float64Array, at: number): Stat {
  const number = (index: number): number => numbers[at + index] ?? 0;
  return {
    mode: number(0),
    uid: number(1),
    gid: number(2),
    size: number(3),
    blocks: number(4),
    nlink: number(5),
    ino: number(6),
    mount: number(7),
    mtimeSeconds: number(8),
    mtimeNanoseconds: number(9),
    ctimeSeconds: number(10),
    ctimeNanoseconds: number(11),
    // Told apart by the walk already.
    identity: '',
  };
}
