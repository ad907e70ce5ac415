/**
 * The longest path of a tree, where it is longer than archives usually may have.
 *
 * A capture remembers it in its manifest, so that a restore of that very archive allows it and no other does.
 */
import type { LongestPath } from './types.ts';

/** What any archive may have: see DESIGN.md, section 6. */
export const USUAL_PATH_BYTES = 4096;
export const USUAL_DEPTH = 256;
/** A path of more components than usual has at least this many bytes: most paths need not be split. */
const WORTH_A_LOOK = 2 * USUAL_DEPTH;

export class LongestPathSeen {
  #bytes = 0;
  #components = 0;

  /** @param path latin1 bytes, without a slash at either end */
  add(path: string): void {
    if (path.length < WORTH_A_LOOK) return;
    this.#bytes = Math.max(this.#bytes, path.length);
    this.#components = Math.max(this.#components, path.split('/').length);
  }

  /** For a summary: a member `longestPath`, or none when every path is of a usual length. */
  summary(): { readonly longestPath?: LongestPath } {
    if (this.#bytes <= USUAL_PATH_BYTES && this.#components <= USUAL_DEPTH) return {};
    return { longestPath: { bytes: this.#bytes, components: this.#components } };
  }
}
