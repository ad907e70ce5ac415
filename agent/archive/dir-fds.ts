/**
 * Directories below one root, opened component by component from their parents' descriptors.
 *
 * Guarantees: no component is ever followed if it is a symlink, whatever someone else does to the tree meanwhile; a path may be
 * longer than PATH_MAX. At most `MAX_OPEN` descriptors are held.
 */
import { close, cString, O, openat, scratchName } from './syscalls.ts';

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
    const fd = openat(parent, scratchName(path.slice(slash + 1)), O.PATH | O.DIRECTORY | O.NOFOLLOW);
    if (this.#open.size >= MAX_OPEN) this.#evict();
    this.#open.set(path, fd);
    return fd;
  }

  /** Parent descriptor and last component, NUL-terminated; both valid until the next name is looked up. */
  locate(path: string): { dir: number; name: Buffer } {
    const slash = path.lastIndexOf('/');
    return { dir: this.get(slash < 0 ? '' : path.slice(0, slash)), name: scratchName(path.slice(slash + 1)) };
  }

  /** NUL-terminated path through the parent's descriptor, for calls that have no `…at` form. */
  procPath(path: string): Buffer {
    const slash = path.lastIndexOf('/');
    const dir = this.get(slash < 0 ? '' : path.slice(0, slash));
    return cString(`/proc/self/fd/${dir}/${path.slice(slash + 1)}`);
  }

  /** To be called when the directory at `path` was removed, with all that was below it. */
  forget(path: string): void {
    for (const [open, fd] of this.#open) {
      if (open !== path && !open.startsWith(`${path}/`)) continue;
      this.#open.delete(open);
      close(fd);
    }
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
