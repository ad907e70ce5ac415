/** Pauses between tries against something that may be away: they double, with jitter so that a fleet does not return at once. */
import { setTimeout as delay } from 'node:timers/promises';

export class Backoff {
  readonly #firstMs: number;
  readonly #mostMs: number;
  #nextMs: number;

  constructor(firstMs = 100, mostMs = 5000) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
    this.#nextMs = firstMs;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }

  /** Waits for the next pause, or until `signal` is aborted; never rejects. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = jittered(this.#nextMs);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#mostMs);
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}

/** Between half and one and a half times `ms`. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random());
}
