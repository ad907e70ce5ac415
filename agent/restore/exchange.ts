/**
 * The exchange of one volume's live and staged directory, forwards and back, from wherever a crash left it.
 *
 * Disk, by inode (old = what was live, new = what was staged); `aside` is `<staging>.aside`:
 *
 * | state     | live                | staging | aside   |                                                     |
 * |-----------|---------------------|---------|---------|-----------------------------------------------------|
 * | before    | old                 | new     | –       |                                                     |
 * | aside     | missing or a stray  | new     | old     | only without RENAME_EXCHANGE; containers are stopped |
 * | moved-in  | new                 | –       | old     | only without RENAME_EXCHANGE                         |
 * | after     | new                 | old     | –       |                                                     |
 *
 * A stray is an empty directory that something made where `live` was missing for a moment (Docker makes missing bind
 * sources). Anything else is undecidable: nothing is touched, and a person must look.
 */

import { dirname } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import {
  exchangeDurably,
  identify,
  removeEmptyDirectory,
  renameDurably,
  sameIdentity,
  syncDirectory,
} from '../fs/durable.ts';
import { crashPoint } from './crash-point.ts';
import type { Exchange } from './facts.ts';

export type ExchangeState = 'before' | 'aside' | 'moved-in' | 'after' | 'undecidable';

/** Looks at the disk; changes nothing. */
export function probeExchange(exchange: Exchange): ExchangeState {
  const live = identify(exchange.live);
  const staging = identify(exchange.staging);
  const aside = identify(asidePath(exchange));
  if (sameIdentity(live, exchange.old) && sameIdentity(staging, exchange.new) && aside === null) return 'before';
  if (sameIdentity(live, exchange.new) && sameIdentity(staging, exchange.old) && aside === null) return 'after';
  if (sameIdentity(aside, exchange.old)) {
    if (sameIdentity(live, exchange.new) && staging === null) return 'moved-in';
    if (!sameIdentity(live, exchange.new) && sameIdentity(staging, exchange.new)) return 'aside';
  }
  return 'undecidable';
}

/** Brings the new tree live, from any state but `undecidable`. */
export function exchangeForward(exchange: Exchange): void {
  for (let state = probeExchange(exchange); state !== 'after'; state = probeExchange(exchange)) {
    switch (state) {
      case 'before':
        if (exchangeInOneStep(exchange)) return;
        renameDurably(exchange.live, asidePath(exchange));
        crashPoint(`exchange:${exchange.volume}:aside`);
        break;
      case 'aside':
        removeStray(exchange);
        renameDurably(exchange.staging, exchange.live);
        crashPoint(`exchange:${exchange.volume}:moved-in`);
        break;
      case 'moved-in':
        renameDurably(asidePath(exchange), exchange.staging);
        break;
      case 'undecidable':
        throw undecidable(exchange);
    }
  }
  syncParents(exchange);
}

/** Brings the old tree back live, from any state but `undecidable`. */
export function exchangeBack(exchange: Exchange): void {
  for (let state = probeExchange(exchange); state !== 'before'; state = probeExchange(exchange)) {
    switch (state) {
      case 'after':
        if (exchangeInOneStep(exchange)) return;
        renameDurably(exchange.staging, asidePath(exchange));
        crashPoint(`exchange-back:${exchange.volume}:moved-in`);
        break;
      case 'moved-in':
        renameDurably(exchange.live, exchange.staging);
        crashPoint(`exchange-back:${exchange.volume}:aside`);
        break;
      case 'aside':
        removeStray(exchange);
        renameDurably(asidePath(exchange), exchange.live);
        break;
      case 'undecidable':
        throw undecidable(exchange);
    }
  }
  syncParents(exchange);
}

/** An exchange that was found done may have been done by a process that was killed before it could sync. */
function syncParents(exchange: Exchange): void {
  syncDirectory(dirname(exchange.live));
  syncDirectory(dirname(exchange.staging));
}

/** False where the file system cannot exchange two names; then nothing was done. */
function exchangeInOneStep(exchange: Exchange): boolean {
  try {
    exchangeDurably(exchange.live, exchange.staging);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EINVAL' || code === 'ENOSYS' || code === 'EOPNOTSUPP') return false;
    throw error;
  }
}

function removeStray(exchange: Exchange): void {
  if (!removeEmptyDirectory(exchange.live)) throw undecidable(exchange);
}

function asidePath(exchange: Exchange): string {
  return `${exchange.staging}.aside`;
}

/** What a person is told when the disk holds neither what was nor what was to be. */
export function undecidable(exchange: Exchange): RefloatError {
  const found = [exchange.live, exchange.staging, asidePath(exchange)]
    .map((path) => `${path}: ${identify(path)?.ino ?? 'nothing'}`)
    .join(', ');
  return new RefloatError(
    'STATE_UNDECIDABLE',
    `volume "${exchange.volume}": expected the inodes ${exchange.old.ino} (old) and ${exchange.new.ino} (new), found ${found}`,
    {
      hint: `Nothing was deleted. Put the directory with the data that you want at ${exchange.live} and the other at ${exchange.staging}, then run "refloat-agent recover".`,
      disposition: 'stuck',
      details: { volume: exchange.volume, live: exchange.live, staging: exchange.staging },
    },
  );
}
