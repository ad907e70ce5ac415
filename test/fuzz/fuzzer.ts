/**
 * A coverage-guided fuzzer: what reaches code, or a number of passes, that nothing before reached is kept and changed further.
 *
 * Guarantees: the same seed and the same code give the same run; memory and the slowest execution are measured, not guessed.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';

/** Counters that the instrumentation added, in its own form. */
type Coverage = Readonly<
  Record<
    string,
    { readonly s: Record<string, number>; readonly f: Record<string, number>; readonly b: Record<string, number[]> }
  >
>;

export interface FuzzOptions {
  readonly target: (input: Buffer) => unknown;
  readonly coverage: () => Coverage;
  readonly seeds: readonly Buffer[];
  readonly executions: number;
  readonly seed: number;
  /** Mutations know of blocks and checksums. */
  readonly archive: boolean;
  readonly onProgress?: (done: number, corpus: number, features: number) => void;
  /** Every input that was accepted and reached something new. */
  readonly onAccepted?: (input: Buffer, seen: unknown) => void;
}

export interface FuzzReport {
  readonly executions: number;
  readonly accepted: number;
  /** Places of the code, each with the magnitude of its passes. */
  readonly features: number;
  readonly corpus: readonly Buffer[];
  readonly slowestMs: number;
  readonly heapGrowthBytes: number;
}

export class FuzzFailure extends Error {
  readonly input: Buffer;

  constructor(input: Buffer, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.input = input;
  }
}

/** @throws FuzzFailure with the input on which the target threw */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { executions, archive, onProgress } = options;
  const random = new Random(options.seed);
  const features = new Features(options.coverage);
  const corpus: Buffer[] = [];
  let accepted = 0;
  let slowestMs = 0;
  let heapBefore = 0;
  const queue = [...options.seeds];
  for (let done = 0; done < executions; done += 1) {
    // Compiled code and the corpus grow first; what grows later is a leak.
    if (done === Math.floor(executions / 4)) heapBefore = usedHeap();
    const input = queue.pop() ?? mutate(favoured(corpus, random), corpus, random, archive);
    const began = performance.now();
    let seen: unknown;
    try {
      seen = options.target(input);
      if (seen instanceof Promise) seen = await seen;
    } catch (cause) {
      throw new FuzzFailure(input, cause);
    }
    slowestMs = Math.max(slowestMs, performance.now() - began);
    if (seen !== null) accepted += 1;
    if (features.collect() > 0 || corpus.length === 0) {
      corpus.push(input);
      if (seen !== null) options.onAccepted?.(input, seen);
    }
    if (done % 100_000 === 0) onProgress?.(done, corpus.length, features.size);
  }
  return { executions, accepted, features: features.size, corpus, slowestMs, heapGrowthBytes: usedHeap() - heapBefore };
}

/** Half of the time among the newest, which nobody has changed much yet. */
function favoured(corpus: readonly Buffer[], random: Random): Buffer {
  const newest = Math.min(corpus.length, 16);
  return random.below(2) === 0
    ? (corpus[corpus.length - 1 - random.below(newest)] ?? Buffer.alloc(0))
    : random.pick(corpus);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedHeap(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Which counters have been seen at which magnitude. */
class Features {
  readonly #coverage: () => Coverage;
  readonly #seen = new Set<number>();

  constructor(coverage: () => Coverage) {
    this.#coverage = coverage;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** How many are new since the last call; sets every counter back. */
  collect(): number {
    const before = this.#seen.size;
    let index = 0;
    const look = (counters: Record<string, number> | number[], count: number): void => {
      for (let key = 0; key < count; key += 1) {
        const passes = (counters as number[])[key] ?? 0;
        index += 1;
        if (passes === 0) continue;
        this.#seen.add(index * 16 + Math.min(15, Math.floor(Math.log2(passes))));
        (counters as number[])[key] = 0;
      }
    };
    for (const { s, f, b } of Object.values(this.#coverage())) {
      look(s, countOf(s));
      look(f, countOf(f));
      for (let key = 0; key < countOf(b); key += 1) look(b[key] ?? [], b[key]?.length ?? 0);
    }
    return this.#seen.size - before;
  }
}

const counts = new WeakMap<object, number>();

function countOf(counters: object): number {
  const known = counts.get(counters);
  if (known !== undefined) return known;
  const count = Object.keys(counters).length;
  counts.set(counters, count);
  return count;
}
