/**
 * Which paths an archive has given so far, in a fixed few bytes per path.
 *
 * Guarantees: 16 bytes of table per path at most 3/4 full, so two million entries stay under 64 MiB.
 * Does not guarantee: absence of collisions; two 32-bit hashes with keys drawn per run make one less likely than 10^-6 over two million paths,
 * and the file system's O_EXCL stands behind it. A collision refuses an archive, it never lets one through.
 */
import { randomBytes } from 'node:crypto';

/** `left-out`: in the archive, but not in the tree. */
export type PathKind = 'file' | 'directory' | 'implied' | 'symlink' | 'hardlink' | 'left-out';

const KINDS: readonly PathKind[] = ['file', 'directory', 'implied', 'symlink', 'hardlink', 'left-out'];

export class PathIndex {
  /** Three words per slot: hash, hash, kind + 1 (0 is empty). */
  #table = new Uint32Array(3 * 1024);
  #capacity = 1024;
  #size = 0;
  readonly #seed1 = randomBytes(4).readUInt32LE(0);
  readonly #seed2 = randomBytes(4).readUInt32LE(0);
  #low = 0;
  #high = 0;

  get(path: string): PathKind | undefined {
    const kind = this.#table[this.#find(path) + 2] ?? 0;
    return kind === 0 ? undefined : KINDS[kind - 1];
  }

  set(path: string, kind: PathKind): void {
    if ((this.#size + 1) * 4 > this.#capacity * 3) this.#grow();
    const slot = this.#find(path);
    if (this.#table[slot + 2] === 0) this.#size += 1;
    this.#table[slot] = this.#low;
    this.#table[slot + 1] = this.#high;
    this.#table[slot + 2] = KINDS.indexOf(kind) + 1;
  }

  #hash(path: string): void {
    let low = this.#seed1 ^ path.length;
    let high = this.#seed2 ^ Math.imul(path.length, 0x9e3779b1);
    for (let index = 0; index < path.length; index += 1) {
      const code = path.charCodeAt(index);
      low = Math.imul(low ^ code, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(high ^ code, 0xc2b2ae35);
      high ^= high >>> 13;
    }
    low = Math.imul(low ^ (low >>> 16) ^ high, 0x27d4eb2f);
    high = Math.imul(high ^ (high >>> 15) ^ low, 0x165667b1);
    this.#low = (low ^ (low >>> 15)) >>> 0;
    this.#high = (high ^ (high >>> 16)) >>> 0;
  }

  #find(path: string): number {
    this.#hash(path);
    const table = this.#table;
    for (let slot = this.#low % this.#capacity; ; slot = slot + 1 === this.#capacity ? 0 : slot + 1) {
      const at = slot * 3;
      if (table[at + 2] === 0 || (table[at] === this.#low && table[at + 1] === this.#high)) return at;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#capacity *= 2;
    this.#table = new Uint32Array(3 * this.#capacity);
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] === 0) continue;
      let slot = (old[at] ?? 0) % this.#capacity;
      while (this.#table[slot * 3 + 2] !== 0) slot = slot + 1 === this.#capacity ? 0 : slot + 1;
      this.#table.set(old.subarray(at, at + 3), slot * 3);
    }
  }
}
