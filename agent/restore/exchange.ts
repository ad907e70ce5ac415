/**
 * The exchange of one volume: its live and its staged directory change places, or, where the volume is itself a mount
 * point and cannot be renamed, their entries do, one by one, and the metadata of the two roots.
 *
 * Guarantees: repeated after a crash at any moment, forwards or back, it ends with all of the volume new or all of it old;
 * durably once `syncExchanges` or `exchangeBack` returned. What is neither the old nor the new inode is left alone, and the
 * error says what was found.
 * Does not guarantee that the inodes of a plan stay: an application that ran on the entries of a mount point has replaced some of
 * them. `planReturn` says what is to change places then.
 */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { RefloatError } from '../../db/errors.ts';
import { type Identity, identify, sameIdentity, syncDirectory } from '../fs/durable.ts';
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
  const names = [...new Set([...entriesOf(live), ...entriesOf(staging)])].map((name) => ({
    name,
    old: identify(below(live, bytesOf(name))),
    new: identify(below(staging, bytesOf(name))),
  }));
  return { volume, live, staging, names, roots };
}

/**
 * The way back once an application ran on the new entries of a mount point. Its containers are stopped. Whatever is live now is
 * the new tree as it left it, under whatever names; the old entries lie in staging, untouched, for nobody but the agent writes
 * there. All of it is in the state `after`, or `undecidable` if staging is not exactly the old tree.
 */
export function planReturn({ volume, live, staging, names, roots }: Exchange): Exchange {
  const old = new Map(names.flatMap(({ name, old: identity }) => (name && identity ? [[name, identity]] : [])));
  const all = new Set([...old.keys(), ...entriesOf(live), ...entriesOf(staging)]);
  return {
    volume,
    live,
    staging,
    names: [...all].map((name) => ({
      name,
      old: old.get(name) ?? null,
      new: identify(below(live, bytesOf(name))),
    })),
    roots: { old: roots.old, new: readRootMetadata(live) },
  };
}

/** What `probeOldSide` is asked of while an application may run on the new entries: everything that lies in staging, or should. */
export function oldSideOf(exchange: Exchange): Exchange {
  const known = new Set(exchange.names.map(({ name }) => name));
  const strays = entriesOf(exchange.staging).filter((name) => !known.has(name));
  return { ...exchange, names: [...exchange.names, ...strays.map((name) => ({ name, old: null, new: null }))] };
}

/** Names at the top of a directory that change places, in base64; none if it is gone. */
function entriesOf(directory: string): string[] {
  if (identify(directory) === null) return [];
  const names = readdirSync(directory, { encoding: 'buffer' });
  return names.filter((name) => !staysInPlace(name)).map((name) => name.toString('base64'));
}

/** The directories themselves change places, not their entries: then their inodes stay, whatever an application does inside. */
export function movesAsOne({ names }: Exchange): boolean {
  return names.some(({ name }) => name === null);
}

export type ExchangeState = 'before' | 'between' | 'after' | 'undecidable';

/** Looks at the disk; changes nothing. */
export function probeExchange(exchange: Exchange, probe = probePair): ExchangeState {
  const states = new Set(exchange.names.map((name, index) => probe(pairOf(exchange, name, index))));
  if (states.has('undecidable')) return 'undecidable';
  if (states.size === 1 && states.has('before')) return 'before';
  return states.size === 1 && states.has('after') ? 'after' : 'between';
}

/** Before anything of them moves: every name of every volume. @throws RefloatError `STATE_UNDECIDABLE` */
export function assertDecidable(exchanges: readonly Exchange[]): void {
  const lost = exchanges.find((exchange) => probeExchange(exchange) === 'undecidable');
  if (lost !== undefined) throw undecidable(lost);
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
 * a mount point's root has to be carried over. Of a directory that moved only the time is: xfs moves it where an exchange gives
 * another parent, and its owner and mode may by now be what an application made of them.
 */
function carryRoots(exchange: Exchange, nowLive: 'old' | 'new', nowStaged: 'old' | 'new'): void {
  const { live, staging, roots } = exchange;
  for (const [root, metadata] of [
    [live, roots[nowLive]],
    [staging, roots[nowStaged]],
  ] as const) {
    const found = readRootMetadata(root);
    const { seconds, nanoseconds } = metadata;
    const wanted = movesAsOne(exchange) ? { ...found, seconds, nanoseconds } : metadata;
    if (!isDeepStrictEqual(found, wanted)) writeRootMetadata(root, wanted);
  }
}

/** What holds the names that changed places, or were aside for a moment, and the roots, whose metadata may have been carried over. */
function touched(exchange: Exchange): string[] {
  const { live, staging } = exchange;
  return movesAsOne(exchange) ? [dirname(live), dirname(staging), live, staging] : [live, staging, dirname(staging)];
}

function pairOf({ live, staging }: Exchange, { name, old, new: fresh }: ExchangedName, index: number): Pair {
  if (name === null) {
    return {
      live: Buffer.from(live),
      staging: Buffer.from(staging),
      aside: Buffer.from(asidePath(staging, old)),
      old,
      new: fresh,
      isEntry: false,
    };
  }
  const bytes = bytesOf(name);
  return {
    live: below(live, bytes),
    staging: below(staging, bytes),
    // In a private directory inside the mount point, where the tree of no other volume lies.
    aside: Buffer.from(`${staging}.aside-${index}`),
    old,
    new: fresh,
    isEntry: true,
  };
}

/**
 * Where the old directory lies between two renames. Volumes of one parent share their private directory, and no volume's name begins
 * with a dot. Earlier versions put it to `<volume>.aside`, which may be a volume's: what one of them left there is known by its inode.
 */
function asidePath(staging: string, old: Identity | null): string {
  const before = `${staging}.aside`;
  return sameIdentity(identify(before), old) ? before : join(dirname(staging), `.aside-${basename(staging)}`);
}

function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'base64');
}

function below(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

/** What a person is told when the disk holds neither what was nor what was to be. */
export function undecidable(exchange: Exchange, probe = probePair): RefloatError {
  const lost = exchange.names
    .map((name, index) => ({ name, pair: pairOf(exchange, name, index) }))
    .find(({ pair }) => probe(pair) === 'undecidable');
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
