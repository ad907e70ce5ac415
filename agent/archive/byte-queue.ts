/**
 * Bytes that arrive in chunks, taken in the sizes that a parser wants.
 *
 * Guarantees: `read` gives contiguous bytes, copied only where they cross a chunk; at most one chunk and one request are held.
 */
export class ByteQueue {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  #ended = false;

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source;
  }

  /** Bytes that can be read without waiting. */
  get available(): number {
    return this.#chunk.length - this.#position;
  }

  /** Waits until `count` bytes can be read; false when the source ends before. */
  async need(count: number): Promise<boolean> {
    while (this.available < count) {
      if (this.#ended) return false;
      const step = await this.#source.next();
      if (step.done === true) {
        this.#ended = true;
        return false;
      }
      const rest = this.available;
      this.#chunk = rest === 0 ? step.value : Buffer.concat([this.#chunk.subarray(this.#position), step.value]);
      this.#position = 0;
    }
    return true;
  }

  /** Valid until the next call of `need`. */
  read(count: number): Buffer {
    const slice = this.#chunk.subarray(this.#position, this.#position + count);
    this.#position += count;
    return slice;
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
