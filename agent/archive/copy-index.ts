/**
 * What one pass of a copy has seen, in a file, for the next pass to compare with: one JSON line per entry, in the order of the walk.
 *
 * Guarantees: reading and writing hold a bounded part of it, however many entries there are; it is a file of its own, whatever lies at
 * its place; what is read from it names nothing outside the tree, whoever wrote it.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { throughHolder } from './holder.ts';
import { O, SystemCallError } from './syscalls.ts';
import type { WalkItem } from './tree-walk.ts';

export interface IndexEntry {
  /** Latin1 bytes, '' for the root. */
  readonly path: string;
  /** Equal for two passes only if nothing was changed between them; its first letter is the kind. */
  readonly signature: string;
}

/** The kind alone, which equals nothing, for what may change without showing. @param threshold seconds; see copy-tree.ts */
export function signatureOf({ kind, stat, target }: WalkItem, threshold: number): string {
  const letter = kind === 'hardlink' ? 'h' : (kind[0] ?? '');
  if (stat.ctimeSeconds + stat.ctimeNanoseconds / 1e9 >= threshold) return letter;
  const { ino, size, mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds } = stat;
  return `${letter}${stat.mount}:${ino}:${size}:${mtimeSeconds}.${mtimeNanoseconds}:${ctimeSeconds}.${ctimeNanoseconds}:${target}`;
}

const BUFFER_BYTES = 262_144;

export class IndexWriter {
  readonly #fd: number;
  #lines: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#fd = throughHolder(path, (at) => openSync(at, O.WRONLY | O.CREAT | O.EXCL, 0o600));
  }

  add({ path, signature }: IndexEntry): void {
    const line = `${JSON.stringify([path, signature])}\n`;
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= BUFFER_BYTES) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#lines.join(''), 'utf8');
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    this.#lines = [];
    this.#length = 0;
  }
}

export function* readIndex(path: string): Generator<IndexEntry> {
  const fd = throughHolder(path, (at) => openSync(at, O.RDONLY | O.NOFOLLOW | O.NONBLOCK));
  try {
    const chunk = Buffer.allocUnsafe(BUFFER_BYTES);
    let held = Buffer.alloc(0);
    for (let count = readSync(fd, chunk); count > 0; count = readSync(fd, chunk)) {
      const bytes = Buffer.concat([held, chunk.subarray(0, count)]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      held = bytes.subarray(end);
      for (const line of bytes.toString('utf8', 0, end).split('\n')) {
        if (line === '') continue;
        yield parseEntry(line);
      }
    }
  } finally {
    closeSync(fd);
  }
}

function parseEntry(line: string): IndexEntry {
  const [path, signature] = JSON.parse(line) as [unknown, unknown];
  const isBelow = (name: string): boolean => name === '' || !/(^|\/)(\.{0,2})(\/|$)/.test(name);
  if (typeof path === 'string' && isBelow(path) && typeof signature === 'string') return { path, signature };
  throw new SystemCallError('index', constants.errno.EINVAL);
}

/** The order in which a walk comes by: a directory before what is in it, names in byte order. */
export function comesBefore(a: string, b: string): boolean {
  // No name holds a NUL, so that a slash made one sorts before everything.
  return a.replaceAll('/', '\0') < b.replaceAll('/', '\0');
}
