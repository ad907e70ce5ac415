/**
 * Has the disk write what was extracted so far while the extraction goes on, so that the sync at its end has little left to wait for.
 *
 * Guarantees: one sync at a time, on the thread pool; everything is durable when `finish` returns; the kernel tells of a write that failed
 * only once, and whichever sync it tells, `finish` throws.
 */
import { syncfs, syncfsAside } from './syscalls.ts';

/** Less makes the file system's journal write the same blocks again and again. */
const EVERY_BYTES = 96 * 1024 * 1024;
/** What a file costs beside its data. */
const FILE_BYTES = 1024;

export class EarlySync {
  readonly #fd: number;
  #left = EVERY_BYTES;
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  wrote(bytes: number): void {
    this.#left -= bytes + FILE_BYTES;
    if (this.#left > 0 || this.#running !== null) return;
    this.#left = EVERY_BYTES;
    this.#running = syncfsAside(this.#fd)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Call it in every case before the descriptor is closed. */
  async settle(): Promise<void> {
    await this.#running;
  }

  /** @throws SystemCallError */
  async finish(): Promise<void> {
    await this.settle();
    syncfs(this.#fd);
    if (this.#failure !== null) throw this.#failure;
  }
}
