/**
 * One number for all owners, modes, times and link targets of a tree, whatever the order in which its entries come: made once of what
 * an archive says while it is extracted, and once of what lies on the disk afterwards.
 *
 * Guarantees: trees that differ in one of them have another sum of that kind, but for a chance of one in 2^32.
 * Does not guarantee: to say which entry it is.
 */
import type { MetadataSums } from './types.ts';

export interface SummedEntry {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky; null for a symbolic link, which has none. */
  readonly mode: number | null;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Latin1 bytes; null for what is no symbolic link. */
  readonly linkTarget: string | null;
}

export class SumsOfMetadata {
  #owners = 0;
  #modes = 0;
  #times = 0;
  #linkTargets = 0;

  /** @param path latin1 bytes, '' for the root */
  add(path: string, { uid, gid, mode, seconds, nanoseconds, linkTarget }: SummedEntry): void {
    const name = hashText(path, 0x811c9dc5);
    this.#owners = (this.#owners + mix(mix(name, uid), gid)) >>> 0;
    if (mode !== null) this.#modes = (this.#modes + mix(name, mode)) >>> 0;
    this.#times = (this.#times + mix(mix(mix(name, seconds), seconds / 0x100000000), nanoseconds)) >>> 0;
    if (linkTarget !== null) this.#linkTargets = (this.#linkTargets + hashText(linkTarget, name)) >>> 0;
  }

  get sums(): MetadataSums {
    return { owners: this.#owners, modes: this.#modes, times: this.#times, linkTargets: this.#linkTargets };
  }
}

function hashText(text: string, seed: number): number {
  let hash = seed ^ text.length;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return finish(hash);
}

function mix(hash: number, value: number): number {
  return finish(Math.imul(hash ^ (value | 0), 0x85ebca6b) + 0x9e3779b9);
}

/** The end of MurmurHash3: every bit of what comes in moves half of what goes out. */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
