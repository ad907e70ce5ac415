/** Under which path an inode with several names was come by first. Forgets it with its last name. */
import type { Stat } from './syscalls.ts';

export class FirstNames {
  readonly #seen = new Map<string, { readonly path: string; left: number }>();

  /** '' for an inode that has one name, or is new. */
  of(stat: Stat): string {
    const first = stat.nlink < 2 ? undefined : this.#seen.get(stat.identity);
    if (first === undefined) return '';
    first.left -= 1;
    if (first.left === 0) this.#seen.delete(stat.identity);
    return first.path;
  }

  /** @param path of what `of` did not know */
  remember(path: string, stat: Stat): void {
    if (stat.nlink > 1) this.#seen.set(stat.identity, { path, left: stat.nlink - 1 });
  }
}
