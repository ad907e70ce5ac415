/**
 * Directories below one root, opened component by component from their parents' descriptors.
 *
 * Guarantees: no component is ever followed if it is a symlink, whatever someone else does to the tree meanwhile; a path may be
 * longer than PATH_MAX. At most `MAX_OPEN` descriptors are held.
 */
import { close, cString, O, openat } from './syscalls.ts';

const MAX_OPEN = 256;

export class DirFds {
  readonly root: number;
  readonly #open = new Map<string, number>();

  /** @param root descriptor of the root, which stays the caller's */
  constructor(root: number) {
    this.root = root;
  }

  /** Descriptor for `…at` calls, valid until the next call of this method. @param path latin1 bytes, '' for the root */
  get(path: string): number {
    if (path === '') return this.root;
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const slash = path.lastIndexOf('/');
    const parent = this.get(slash < 0 ? '' : path.slice(0, slash));
    const fd = openat(parent, cString(path.slice(slash + 1)), O.PATH | O.DIRECTORY | O.NOFOLLOW);
    if (this.#open.size >= MAX_OPEN) this.#evict();
    this.#open.set(path, fd);
    return fd;
  }

  /** Parent descriptor and NUL-terminated last component. */
  locate(path: string): { dir: number; name: Buffer } {
    const slash = path.lastIndexOf('/');
    return { dir: this.get(slash < 0 ? '' : path.slice(0, slash)), name: cString(path.slice(slash + 1)) };
  }

  close(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
  }

  #evict(): void {
    const [oldest] = this.#open;
    if (oldest === undefined) return;
    this.#open.delete(oldest[0]);
    close(oldest[1]);
  }
}
