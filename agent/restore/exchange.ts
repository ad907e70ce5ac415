/**
 * The exchange of one volume: its live and its staged directory change places, or, where the volume is itself a mount
 * point and cannot be renamed, their entries do, one by one, and the metadata of the two roots.
 *
 * Guarantees: repeated after a crash at any moment, forwards or back, it ends with all of the volume new or all of it old;
 * durably once `syncExchanges` or `exchangeBack` returned. What is neither the old nor the new inode is left alone, and the
 * error says what was found.
 */
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { RefloatError } from '../../db/errors.ts';
import { identify, syncDirectory } from '../fs/durable.ts';
import { readRootMetadata, writeRootMetadata } from '../fs/root-metadata.ts';
import { exchangePairBack, exchangePairForward, type Pair, probePair } from './exchange-pair.ts';
import type { Exchange, ExchangedName, Target } from './facts.ts';

/** Directories at the top of a volume that belong to the agent, or to the file system, and never change places. */
function staysInPlace(name: Buffer): boolean {
  const text = name.toString('latin1');
  return text.startsWith('.refloat-') || text === 'lost+found';
}

/** What will change places, by inode, before anything does; null where the live or the staged directory is missing. */
export function planExchange(target: Target): Exchange | null {
  const { volume, live, staging } = target;
  const old = identify(live);
  const fresh = identify(staging);
  if (old === null || fresh === null) return null;
  const roots = { old: readRootMetadata(live), new: readRootMetadata(staging) };
  if (!target.mountPoint) return { volume, live, staging, names: [{ name: null, old, new: fresh }], roots };
  const names = new Map<string, Buffer>();
  for (const directory of [live, staging]) {
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      if (!staysInPlace(name)) names.set(name.toString('base64'), name);
    }
  }
  return {
    volume,
    live,
    staging,
    names: [...names].map(([name, bytes]) => ({
      name,
      old: identify(below(live, bytes)),
      new: identify(below(staging, bytes)),
    })),
    roots,
  };
}

export type ExchangeState = 'before' | 'between' | 'after' | 'undecidable';

/** Looks at the disk; changes nothing. */
export function probeExchange(exchange: Exchange): ExchangeState {
  const states = new Set(exchange.names.map((name, index) => probePair(pairOf(exchange, name, index))));
  if (states.has('undecidable')) return 'undecidable';
  if (states.size === 1 && states.has('before')) return 'before';
  return states.size === 1 && states.has('after') ? 'after' : 'between';
}

/** Brings the new tree live; durable after `syncExchanges`. @throws RefloatError `STATE_UNDECIDABLE` */
export function exchangeForward(exchange: Exchange): void {
  exchange.names.forEach((name, index) => {
    if (!exchangePairForward(pairOf(exchange, name, index))) throw undecidable(exchange);
  });
  carryRoots(exchange, 'new', 'old');
}

/** Makes what `exchangeForward` did durable, each directory once. @throws RefloatError `FSYNC_FAILED` */
export function syncExchanges(exchanges: readonly Exchange[]): void {
  for (const directory of new Set(exchanges.flatMap(touched))) syncDirectory(directory);
}

/** Brings the old tree back live. @throws RefloatError `STATE_UNDECIDABLE` */
export function exchangeBack(exchange: Exchange): void {
  exchange.names.forEach((name, index) => {
    if (!exchangePairBack(pairOf(exchange, name, index))) throw undecidable(exchange);
  });
  carryRoots(exchange, 'old', 'new');
  for (const directory of touched(exchange)) syncDirectory(directory);
}

/**
 * Also when everything was found done: a process that was killed may have done it, and not have come this far. The metadata of
 * a mount point's root has to be carried over, and xfs moves the time of a directory that an exchange gives another parent.
 */
function carryRoots({ live, staging, roots }: Exchange, nowLive: 'old' | 'new', nowStaged: 'old' | 'new'): void {
  for (const [root, metadata] of [
    [live, roots[nowLive]],
    [staging, roots[nowStaged]],
  ] as const) {
    if (!isDeepStrictEqual(readRootMetadata(root), metadata)) writeRootMetadata(root, metadata);
  }
}

/** What holds the names that changed places, and the roots, whose metadata may have been carried over. */
function touched({ live, staging, names }: Exchange): string[] {
  return names.some(({ name }) => name !== null) ? [live, staging] : [dirname(live), dirname(staging), live, staging];
}

function pairOf({ live, staging }: Exchange, { name, old, new: fresh }: ExchangedName, index: number): Pair {
  if (name === null) {
    return {
      live: Buffer.from(live),
      staging: Buffer.from(staging),
      aside: Buffer.from(`${staging}.aside`),
      old,
      new: fresh,
    };
  }
  const bytes = Buffer.from(name, 'base64');
  return {
    live: below(live, bytes),
    staging: below(staging, bytes),
    aside: Buffer.from(`${staging}.aside-${index}`),
    old,
    new: fresh,
  };
}

function below(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

/** What a person is told when the disk holds neither what was nor what was to be. */
export function undecidable(exchange: Exchange): RefloatError {
  const lost = exchange.names
    .map((name, index) => ({ name, pair: pairOf(exchange, name, index) }))
    .find(({ pair }) => probePair(pair) === 'undecidable');
  const found = [lost?.pair.live, lost?.pair.staging, lost?.pair.aside]
    .filter((path) => path !== undefined)
    .map((path) => `${JSON.stringify(path.toString())}: ${identify(path)?.ino ?? 'nothing'}`)
    .join(', ');
  const expected = `${lost?.name.old?.ino ?? 'nothing'} (old) and ${lost?.name.new?.ino ?? 'nothing'} (new)`;
  return new RefloatError(
    'STATE_UNDECIDABLE',
    `volume "${exchange.volume}": expected the inodes ${expected}, found ${found}`,
    {
      hint: `Nothing was deleted. Move (do not copy) the two directories back to ${exchange.live} and ${exchange.staging} and run "refloat-agent recover"; or put the data that you want at ${exchange.live} and run "refloat-agent resolve INTENT --keep".`,
      disposition: 'stuck',
      details: { volume: exchange.volume, live: exchange.live, staging: exchange.staging },
    },
  );
}
