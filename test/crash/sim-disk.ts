/**
 * A disk in memory with a write cache: what was not synced may be lost when the power goes, in almost any order.
 *
 * Durable after fsync of a file: its bytes and metadata. After fsync of a directory: every change of its names, with all that came
 * before it in the directories that it concerns. What is left in the cache at a power cut survives in part: of the changes of names
 * any set that holds with each one those before it in the same directory, of a file's new bytes any beginning. That is less
 * than ext4 and xfs promise. A rename or an exchange is one change, whole or not at all.
 */
import type { Random } from './random.ts';

export interface SimNode {
  readonly ino: bigint;
  readonly born: bigint;
  readonly kind: 'directory' | 'file';
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** Of a directory. */
  readonly names: Map<string, SimNode>;
  /** Of a file. */
  bytes: Buffer;
}

/** One change of names: which directories it concerns, and what their names are afterwards. */
interface Change {
  readonly puts: readonly (readonly [directory: SimNode, name: string, node: SimNode | null])[];
}

export class SimDisk {
  readonly root: SimNode;
  /** Whether two names can be exchanged in one step. */
  canExchange = true;
  #nextInode = 2n;
  readonly #clock: () => bigint;
  /** The names that are on the disk, by directory; and the bytes, by file. */
  readonly #durableNames = new Map<SimNode, Map<string, SimNode>>();
  readonly #durableBytes = new Map<SimNode, Buffer>();
  #cached: Change[] = [];

  constructor(clock: () => bigint) {
    this.#clock = clock;
    this.root = this.#node('directory', 0o755);
  }

  /** What lies at a path of components, or null; a missing directory in between is null, too. */
  find(path: readonly string[], from: SimNode = this.root): SimNode | null {
    let node: SimNode | undefined = from;
    for (const name of path) node = node?.names.get(name);
    return node ?? null;
  }

  create(directory: SimNode, name: string, kind: SimNode['kind'], mode: number): SimNode {
    if (directory.names.has(name)) throw failure('EEXIST', name);
    const node = this.#node(kind, mode);
    this.#change({ puts: [[directory, name, node]] });
    return node;
  }

  remove(directory: SimNode, name: string, kind: SimNode['kind']): void {
    const node = directory.names.get(name) ?? raise('ENOENT', name);
    if (node.kind !== kind) throw failure(kind === 'directory' ? 'ENOTDIR' : 'EISDIR', name);
    if (node.names.size > 0) throw failure('ENOTEMPTY', name);
    this.#change({ puts: [[directory, name, null]] });
  }

  rename(from: SimNode, name: string, to: SimNode, newName: string, mayReplace: boolean): void {
    const node = from.names.get(name) ?? raise('ENOENT', name);
    const there = to.names.get(newName);
    if (there !== undefined && (!mayReplace || there.names.size > 0)) throw failure('EEXIST', newName);
    this.#change({
      puts: [
        [from, name, null],
        [to, newName, node],
      ],
    });
  }

  exchange(a: SimNode, nameA: string, b: SimNode, nameB: string): void {
    const [one, two] = [a.names.get(nameA) ?? raise('ENOENT', nameA), b.names.get(nameB) ?? raise('ENOENT', nameB)];
    if (!this.canExchange) throw failure('EINVAL', nameA);
    this.#change({
      puts: [
        [a, nameA, two],
        [b, nameB, one],
      ],
    });
  }

  write(file: SimNode, bytes: Uint8Array): void {
    file.bytes = Buffer.concat([file.bytes, bytes]);
    file.mtimeNs = this.#clock();
  }

  truncate(file: SimNode, length: number): void {
    file.bytes = Buffer.from(file.bytes.subarray(0, length));
  }

  sync(node: SimNode): void {
    if (node.kind === 'file') {
      this.#durableBytes.set(node, node.bytes);
      return;
    }
    const wanted = new Set<Change>();
    const directories = new Set([node]);
    for (const change of [...this.#cached].reverse()) {
      if (!change.puts.some(([directory]) => directories.has(directory))) continue;
      wanted.add(change);
      for (const [directory] of change.puts) directories.add(directory);
    }
    this.#settle((change) => wanted.has(change));
  }

  syncAll(): void {
    this.#settle(() => true);
    const visit = (node: SimNode): void => {
      if (node.kind === 'file') this.#durableBytes.set(node, node.bytes);
      for (const child of node.names.values()) visit(child);
    };
    visit(this.root);
  }

  /** The power goes: what survives of the cache is drawn from `random`; afterwards the cache is what is on the disk. */
  losePower(random: Random): void {
    const lost = new Set<SimNode>();
    // Whoever comes first in a directory decides for those behind it.
    const keptChanges = new Set(
      this.#cached.filter(({ puts }) => {
        const isKept = puts.every(([directory]) => !lost.has(directory)) && random.below(3) > 0;
        if (!isKept) for (const [directory] of puts) lost.add(directory);
        return isKept;
      }),
    );
    this.#settle((change) => keptChanges.has(change));
    this.#cached = [];
    const visit = (node: SimNode): void => {
      if (node.kind === 'file') {
        const durable = this.#durableBytes.get(node) ?? Buffer.alloc(0);
        const more = node.bytes.length - durable.length;
        // Cut shorter, or not known to be synced: the old bytes, or some of the new ones.
        if (more > 0) node.bytes = Buffer.from(node.bytes.subarray(0, durable.length + random.below(more + 1)));
        else if (more < 0 && random.below(2) === 0) node.bytes = durable;
        this.#durableBytes.set(node, node.bytes);
        return;
      }
      node.names.clear();
      for (const [name, child] of this.#durableNames.get(node) ?? []) {
        node.names.set(name, child);
        visit(child);
      }
    };
    visit(this.root);
  }

  #settle(isWanted: (change: Change) => boolean): void {
    for (const change of this.#cached) {
      if (!isWanted(change)) continue;
      for (const [directory, name, node] of change.puts) {
        const names = this.#durableNames.get(directory) ?? new Map<string, SimNode>();
        this.#durableNames.set(directory, names);
        if (node === null) names.delete(name);
        else names.set(name, node);
      }
    }
    this.#cached = this.#cached.filter((change) => !isWanted(change));
  }

  #change(change: Change): void {
    for (const [directory, name, node] of change.puts) {
      if (node === null) directory.names.delete(name);
      else directory.names.set(name, node);
      directory.mtimeNs = this.#clock();
    }
    this.#cached.push(change);
  }

  #node(kind: SimNode['kind'], mode: number): SimNode {
    const now = this.#clock();
    this.#nextInode += 1n;
    return {
      ino: this.#nextInode,
      born: now,
      kind,
      mode,
      uid: 0,
      gid: 0,
      mtimeNs: now,
      names: new Map(),
      bytes: Buffer.alloc(0),
    };
  }
}

export function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: '${path}'`), { code });
}

function raise(code: string, path: string): never {
  throw failure(code, path);
}
