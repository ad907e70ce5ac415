/**
 * Two names change places, forwards and back, from wherever a crash left them.
 *
 * Disk, by inode (old = what was live, new = what was staged; either may be nothing, when only one side has the name):
 *
 * | state    | live                | staging | aside |                                                      |
 * |----------|---------------------|---------|-------|------------------------------------------------------|
 * | before   | old                 | new     | –     |                                                      |
 * | aside    | missing or a stray  | new     | old   | in three renames; containers are stopped             |
 * | moved-in | new                 | –       | old   | in three renames                                     |
 * | after    | new                 | old     | –     |                                                      |
 *
 * Three renames where the file system lacks RENAME_EXCHANGE, and for directories that are entries of a mount point (`inOneStep`).
 * A stray is an empty directory that something made where `live` was missing for a moment (Docker makes missing bind
 * sources). Anything else is undecidable: nothing is touched, and a person must look.
 * Does not guarantee durability of the last rename; the caller syncs both parents once.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { exchangeNames, type Identity, identify, moveName, removeEmptyDirectory, sameIdentity } from '../fs/durable.ts';
import { crashPoint } from './crash-point.ts';

export interface Pair {
  readonly live: Buffer;
  readonly staging: Buffer;
  readonly aside: Buffer;
  readonly old: Identity | null;
  readonly new: Identity | null;
  /** An entry of a mount point, whose own time is part of the tree; of a volume's directory the caller puts it back. */
  readonly isEntry: boolean;
}

export type PairState = 'before' | 'aside' | 'moved-in' | 'after' | 'undecidable';

/** Looks at the disk; changes nothing. */
export function probePair(pair: Pair): PairState {
  const live = identify(pair.live);
  const staging = identify(pair.staging);
  const aside = identify(pair.aside);
  if (aside === null) {
    if (is(live, pair.old) && is(staging, pair.new)) return 'before';
    if (is(live, pair.new) && is(staging, pair.old)) return 'after';
  } else if (sameIdentity(aside, pair.old)) {
    if (sameIdentity(live, pair.new) && staging === null) return 'moved-in';
    if (sameIdentity(staging, pair.new) && (live === null || isEmptyDirectory(pair.live))) return 'aside';
  }
  return 'undecidable';
}

/** The same behind `after`, by the old side alone: what is live may be changing under whoever looks. */
export function probeOldSide({ staging, aside, old }: Pair): PairState {
  return identify(aside) === null && is(identify(staging), old) ? 'after' : 'undecidable';
}

/** Brings the new one live; false if that cannot be decided, and then nothing was done. */
export function exchangePairForward(pair: Pair): boolean {
  for (let state = probePair(pair); state !== 'after'; state = probePair(pair)) {
    switch (state) {
      case 'before':
        if (pair.old === null) moveName(pair.staging, pair.live);
        else if (pair.new === null) moveName(pair.live, pair.staging);
        else if (!inOneStep(pair)) moveName(pair.live, pair.aside);
        break;
      case 'aside':
        if (!removeEmptyDirectory(pair.live)) return false;
        moveName(pair.staging, pair.live);
        break;
      case 'moved-in':
        moveName(pair.aside, pair.staging);
        break;
      case 'undecidable':
        return false;
    }
    crashPoint('exchange');
  }
  return true;
}

/** Brings the old one back live; false if that cannot be decided, and then nothing was done. */
export function exchangePairBack(pair: Pair): boolean {
  for (let state = probePair(pair); state !== 'before'; state = probePair(pair)) {
    switch (state) {
      case 'after':
        if (pair.old === null) moveName(pair.live, pair.staging);
        else if (pair.new === null) moveName(pair.staging, pair.live);
        else if (!inOneStep(pair)) moveName(pair.staging, pair.aside);
        break;
      case 'moved-in':
        moveName(pair.live, pair.staging);
        break;
      case 'aside':
        if (!removeEmptyDirectory(pair.live)) return false;
        moveName(pair.aside, pair.live);
        break;
      case 'undecidable':
        return false;
    }
    crashPoint('exchange-back');
  }
  return true;
}

/**
 * False if it takes three renames; then nothing was done. xfs moves the time of a directory that an exchange gives another parent,
 * and leaves it alone where a rename does.
 */
function inOneStep({ live, staging, isEntry }: Pair): boolean {
  const movesTime = isEntry && [live, staging].some((path) => lstatSync(path).isDirectory());
  return !movesTime && exchangeNames(live, staging);
}

/** The only stray that may be removed; anything else might be somebody's data. */
function isEmptyDirectory(path: Buffer): boolean {
  return lstatSync(path).isDirectory() && readdirSync(path).length === 0;
}

function is(found: Identity | null, expected: Identity | null): boolean {
  return expected === null ? found === null : sameIdentity(found, expected);
}
