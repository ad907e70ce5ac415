/**
 * Which of two levels blocks are compressed at.
 *
 * Does not guarantee: the size of level 3 for every block. Every few blocks both levels are tried, and the fast one is kept as long as it
 * made the tried block at most half a percent larger; the blocks between go by that. README.md has what was tried.
 */

const FAST = 1;
const USUAL = 3;
/** Blocks that go by what the last one tried has shown. */
const BLOCKS_PER_TRIAL = 16;
/** How much larger the fast level may make a block. */
const WORTH = 1.005;

export class FrameLevel {
  #blocks = 0;
  #level: typeof FAST | typeof USUAL = USUAL;

  /** Levels for the next block: one, or both to be compared; the last result is to be kept. */
  next(): readonly number[] {
    const trial = this.#blocks % BLOCKS_PER_TRIAL === 0;
    this.#blocks += 1;
    return trial ? [FAST, USUAL] : [this.#level];
  }

  /** @param lengths of the results, in the order of what `next` gave */
  learn([fast = 0, usual]: readonly number[]): void {
    if (usual !== undefined) this.#level = fast <= usual * WORTH ? FAST : USUAL;
  }
}
