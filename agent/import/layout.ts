/**
 * Where the volumes lie in a tree that another tool's backup unpacked to.
 *
 * Guarantees: looks at names of directories alone and follows no symbolic link; two readings of a tree are refused, never guessed.
 *
 * offen/docker-volume-backup writes absolute names, `/backup/<name>/…`, with as many volumes as it was given; loomchild/volume-backup
 * and `tar -C VOLUME .` write `./…`, the volume itself; `tar -C /var/lib/docker/volumes/NAME _data` writes one directory.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';

/** One volume that the person named, or did not, of one archive. */
export interface Wanted {
  readonly volume?: string | undefined;
  /** Directory in the archive that is the volume's root; found by the layout unless given. */
  readonly inside?: string | undefined;
}

export interface Found {
  readonly volume: string;
  /** Below the root of the archive; '' is the root itself. */
  readonly inside: string;
}

export interface LayoutInput {
  /** Where the archive was unpacked to. */
  readonly root: string;
  /** Whether the archive had an entry for its own root: then that is what was backed up. */
  readonly hasRoot: boolean;
  /** For messages: the archive's name as the person gave it. */
  readonly file: string;
  /** What is wanted of this archive; empty, or all named. */
  readonly wanted: readonly Wanted[];
  /** Names of the workload's volumes that no other archive was named for. */
  readonly volumes: readonly string[];
}

export interface Layout {
  readonly found: readonly Found[];
  /** For people, one sentence each. */
  readonly warnings: readonly string[];
}

/** @throws RefloatError `IMPORT_AMBIGUOUS` naming the option that decides; `VALIDATION_FAILED` for a directory that is not there */
export function findVolumes(input: LayoutInput): Layout {
  const { wanted } = input;
  if (wanted.length === 0) return findUnnamed(input);
  const found = wanted.map(({ volume, inside }) => {
    const name = volume ?? onlyVolume(input);
    return { volume: name, inside: inside === undefined ? findOne(input, name) : checkedInside(input, inside) };
  });
  return { found, warnings: [] };
}

function findUnnamed(input: LayoutInput): Layout {
  const below = offenVolumes(input);
  if (below === null) {
    const volume = onlyVolume(input);
    return { found: [{ volume, inside: findOne(input, volume) }], warnings: [] };
  }
  const known = below.filter((name) => input.volumes.includes(name));
  if (known.length === 0) {
    const volume = onlyVolume(input);
    return { found: [{ volume, inside: findOne(input, volume) }], warnings: [] };
  }
  const others = below.filter((name) => !known.includes(name));
  return {
    found: known.map((volume) => ({ volume, inside: `backup/${volume}` })),
    warnings: others.map(
      (name) => `"backup/${name}" of ${input.file} is none of the workload's volumes and was left out`,
    ),
  };
}

/** By the archive's name when the workload has several volumes: `data.tar.gz`, `data-2026-01-31.tar`. */
function onlyVolume({ volumes, file }: LayoutInput): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  const byName = volumes.filter((name) => base.startsWith(name) && /^([._-].*)?$/.test(base.slice(name.length)));
  // `data` and `data-old` both fit `data-old.tar`: the longer name says more.
  const best = byName.sort((a, b) => b.length - a.length)[0];
  if (best !== undefined) return best;
  const [only] = volumes;
  if (volumes.length === 1 && only !== undefined) return only;
  throw ambiguous(
    `${file} could be any of the volumes ${volumes.map((name) => `"${name}"`).join(', ')}`,
    'Say which with --volume NAME=FILE.',
  );
}

function findOne(input: LayoutInput, volume: string): string {
  const below = offenVolumes(input);
  if (below !== null) {
    if (below.includes(volume)) return `backup/${volume}`;
    const [only] = below;
    if (below.length === 1 && only !== undefined) return `backup/${only}`;
    if (below.length > 1)
      throw ambiguous(
        `${input.file} has the directories ${below.map((name) => `"${name}"`).join(', ')} below "backup", none of the name "${volume}"`,
        `Say which it is with --inside ${volume}=backup/DIRECTORY, or --inside ${volume}=. for everything.`,
      );
  }
  const [only, ...more] = input.hasRoot ? [] : readdirSync(input.root);
  const wrapped = only !== undefined && more.length === 0 && (only === volume || only === '_data');
  return wrapped && isDirectory(join(input.root, only)) ? only : '';
}

/** Names of the directories below `backup`, when that is all there is and nothing says that the archive's root was backed up. */
function offenVolumes({ root, hasRoot }: LayoutInput): string[] | null {
  if (hasRoot) return null;
  const [only, ...more] = readdirSync(root);
  if (only !== 'backup' || more.length > 0 || !isDirectory(join(root, only))) return null;
  const names = readdirSync(join(root, only));
  return names.every((name) => isDirectory(join(root, 'backup', name))) && names.length > 0 ? names.sort() : null;
}

function checkedInside({ root, file }: LayoutInput, inside: string): string {
  const parts = inside.split('/').filter((part) => part !== '' && part !== '.');
  for (let count = 1; count <= parts.length; count += 1) {
    const path = parts.slice(0, count).join('/');
    if (!parts.includes('..') && isDirectory(join(root, path))) continue;
    throw new RefloatError('VALIDATION_FAILED', `${file} has no directory "${inside}"`, {
      hint: 'Look at what it has with "tar -tf". A directory that is a symbolic link does not count.',
      details: { usage: true },
    });
  }
  return parts.join('/');
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function ambiguous(message: string, hint: string): RefloatError {
  return new RefloatError('IMPORT_AMBIGUOUS', message, { hint, details: { usage: true } });
}
