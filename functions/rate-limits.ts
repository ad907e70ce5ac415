/**
 * Rate limits, counted in Postgres, so that they hold across any number of handlers.
 *
 * Guarantees: no handler lets more through than Postgres granted; a refusal says when to come again.
 * Does not guarantee: that every permit is used. For reads a handler takes permits in advance, up to as many again as it has used
 * at that pace, so that most reads need no statement; one request fetches more while the others use what is there. What is left
 * after a second is forfeited.
 */
import type { Queryable } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import { takePermits } from '../db/queries/take-permits.ts';

export interface RateLimit {
  readonly perMinute: number;
  /** How many may come at once. */
  readonly burst: number;
}

/** What is limited, and for whom. Generous: they are there for what runs wild, not for what is busy. */
export const DEFAULT_RATE_LIMITS = {
  /** Requests that read, for each person or token. */
  read: { perMinute: 6000, burst: 2000 },
  /** Requests that change something, for each person or token. */
  change: { perMinute: 600, burst: 1000 },
  /** Intents asked of each workload, whoever asks. */
  workload: { perMinute: 300, burst: 1000 },
  /** Sign-ins and enrollments, for each address. */
  'sign-in': { perMinute: 60, burst: 120 },
  /** Tries of each one-time link or challenge. */
  link: { perMinute: 10, burst: 20 },
  /** Bad credentials, and changes that are refused before anybody asks for one, for each address. */
  refused: { perMinute: 600, burst: 3000 },
} as const satisfies Record<string, RateLimit>;

export type RateClass = keyof typeof DEFAULT_RATE_LIMITS;
export type RateLimits = Readonly<Record<RateClass, RateLimit>>;

const MAX_FIGURE = 1_000_000_000;
const MAX_BLOCK = 32;
const BLOCK_MS = 1000;
/** Principals whose permits are remembered; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

/** Parses REFLOAT_RATE_LIMITS: `class=perMinute:burst`, separated by commas; classes left out keep their default. Throws `CONFIG_INVALID`. */
export function readRateLimits(text: string | undefined): RateLimits {
  const limits: Record<RateClass, RateLimit> = { ...DEFAULT_RATE_LIMITS };
  for (const part of (text ?? '').split(',').filter((each) => each.trim() !== '')) {
    const match = /^\s*([a-z-]+)\s*=\s*(\d{1,10})\s*:\s*(\d{1,10})\s*$/.exec(part);
    const [name, perMinute, burst] = [match?.[1] ?? '', Number(match?.[2]), Number(match?.[3])];
    const known = Object.hasOwn(limits, name);
    if (!known || !(perMinute >= 1 && perMinute <= MAX_FIGURE && burst >= 1 && burst <= MAX_FIGURE)) {
      throw new RefloatError('CONFIG_INVALID', 'REFLOAT_RATE_LIMITS cannot be read', {
        hint: `Write class=perMinute:burst, separated by commas; classes: ${Object.keys(limits).join(', ')}. For example read=6000:2000,sign-in=60:120.`,
      });
    }
    limits[name as RateClass] = { perMinute, burst };
  }
  return limits;
}

interface Block {
  left: number;
  readonly size: number;
  readonly until: number;
  /** Somebody fetches more, or there are none. */
  isFetched: boolean;
}

/** One for each app. */
export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #now: () => Date;
  readonly #blocks = new Map<string, Block>();

  constructor(limits: RateLimits, now: () => Date) {
    this.#limits = limits;
    this.#now = now;
  }

  /**
   * Takes one permit.
   * @param whose for example `token:<jti>`
   * @throws RefloatError `RATE_LIMITED`; `details.retryAfterSeconds` says when to come again, `details.inARow` is 1 for the first of a series
   */
  async take(db: Queryable, limit: RateClass, whose: string): Promise<void> {
    const key = `${limit}:${whose.slice(0, 200)}`;
    const block = limit === 'read' ? this.#blockOf(key) : undefined;
    if (block !== undefined && block.left > 0) return this.#takeLeft(db, key, block);
    // Twice as many as last time if those were used up within their second, else one.
    const size = Math.min(MAX_BLOCK, (block?.size ?? 0.5) * 2);
    const { granted, refused, waitSeconds } = await takePermits(db, key, this.#limits[limit], size);
    if (granted === 0) throw limited(limit, Math.max(1, Math.ceil(waitSeconds)), refused);
    // Of several that came at once each has fetched some.
    const left = Math.min(MAX_BLOCK, granted - 1 + (this.#blockOf(key)?.left ?? 0));
    if (limit === 'read') this.#remember(key, left, size);
  }

  #blockOf(key: string): Block | undefined {
    const block = this.#blocks.get(key);
    return block !== undefined && this.#now().getTime() <= block.until ? block : undefined;
  }

  /** The one that takes the half of a whole block fetches another, so that the many behind it need not each fetch their own. */
  async #takeLeft(db: Queryable, key: string, block: Block): Promise<void> {
    block.left--;
    if (block.size < MAX_BLOCK || block.left > MAX_BLOCK / 2 || block.isFetched) return;
    block.isFetched = true;
    const { granted } = await takePermits(db, key, this.#limits.read, MAX_BLOCK - block.left, false);
    if (granted > 0) this.#remember(key, block.left + granted, MAX_BLOCK);
  }

  #remember(key: string, left: number, size: number): void {
    this.#blocks.delete(key);
    this.#blocks.set(key, { left, size, until: this.#now().getTime() + BLOCK_MS, isFetched: false });
    const oldest = this.#blocks.size > MAX_REMEMBERED ? this.#blocks.keys().next().value : undefined;
    if (oldest !== undefined) this.#blocks.delete(oldest);
  }
}

function limited(limit: RateClass, retryAfterSeconds: number, inARow: number): RefloatError {
  return new RefloatError('RATE_LIMITED', `too many requests (limit "${limit}")`, {
    hint: `Come again in ${retryAfterSeconds} s. Operators set the limits with REFLOAT_RATE_LIMITS.`,
    disposition: 'retry',
    details: { retryAfterSeconds, limit, inARow },
  });
}
