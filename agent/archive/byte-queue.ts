/**
 * Bytes that arrive in chunks, taken in the sizes that a parser wants.
 *
 * Guarantees: `read` gives contiguous bytes, copied only where they cross a chunk; nothing of a chunk is kept once the second one
 * after it was asked for.
 */
export class ByteQueue {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  /** What follows the current chunk, if it was split. */
  #after: Buffer | null = null;
  #ended = false;

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source;
  }

  /** Bytes that can be read without waiting. */
  get available(): number {
    return this.#chunk.length - this.#position;
  }

  /** Waits until `count` bytes can be read in one piece; false when the source ends before. */
  async need(count: number): Promise<boolean> {
    while (this.available < count) {
      const next = this.#after ?? (await this.#pull());
      this.#after = null;
      if (next === null) return false;
      const rest = this.available;
      if (rest === 0) {
        this.#chunk = next;
      } else {
        // Only what is asked for is copied together; the rest of the chunk stays where it is.
        const missing = Math.min(count - rest, next.length);
        this.#chunk = Buffer.concat([this.#chunk.subarray(this.#position), next.subarray(0, missing)]);
        this.#after = missing < next.length ? next.subarray(missing) : null;
      }
      this.#position = 0;
    }
    return true;
  }

  async #pull(): Promise<Buffer | null> {
    if (this.#ended) return null;
    const step = await this.#source.next();
    if (step.done !== true) return step.value;
    this.#ended = true;
    return null;
  }

  /** Valid until the next call of `need`. */
  read(count: number): Buffer {
    const slice = this.#chunk.subarray(this.#position, this.#position + count);
    this.#position += count;
    return slice;
  }

  /** What `read` would give, not wanted. */
  skip(count: number): void {
    this.#position += count;
  }

  /** The next byte without taking it; call `need(1)` first. */
  peek(): number {
    return this.#chunk[this.#position] ?? -1;
  }

  /** Gives back the last `count` bytes of the last `some` or `read`, before anything else was asked for. */
  rewind(count: number): void {
    this.#position -= count;
  }

  /** Between 1 and `max` bytes, whatever is there; null at the end. */
  async some(max: number): Promise<Buffer | null> {
    if (this.available === 0 && !(await this.need(1))) return null;
    return this.read(Math.min(max, this.available));
  }
}
