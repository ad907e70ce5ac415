/**
 * Buffers that are filled in turn, for what is handed out in pieces of which each is valid until the second one after it is asked for:
 * new ones would be memory that the kernel clears first and the collector looks for afterwards.
 */
export class Rotation {
  readonly #buffers: readonly Buffer[];
  #turn = 0;

  /** @param ahead how many are filled before they are asked for */
  constructor(bytes: number, ahead = 0) {
    this.#buffers = Array.from({ length: 2 + ahead }, () => Buffer.allocUnsafeSlow(bytes));
  }

  next(): Buffer {
    const buffer = this.#buffers[this.#turn] as Buffer;
    this.#turn = (this.#turn + 1) % this.#buffers.length;
    return buffer;
  }
}
