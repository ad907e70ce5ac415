/** Wakes one waiter. A ring while nobody waits is remembered, so that none is lost between two waits. */
export class Bell {
  #rung = false;
  #waiter: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#waiter?.();
  }

  /** Forgets a ring that nobody has waited for. */
  silence(): void {
    this.#rung = false;
  }

  /** Resolves at the next ring, after `ms`, or when `signal` is aborted; never rejects. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done);
        this.#waiter = done;
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
      });
      this.#waiter = null;
    }
    this.#rung = false;
  }
}
