/** Several archives at once: as many as cores and memory bear, since each is a process of its own with up to 200 MiB and two busy threads. */

import { availableParallelism, freemem } from 'node:os';

const MAX_AT_ONCE = 2;
const PROCESS_BYTES = 256 * 1024 * 1024;

/** Works through a list a few at a time, results in its order; the first failure stops the others and is thrown once they have stopped. */
export async function inParallel<T, R>(
  items: readonly T[],
  outer: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  outer?.throwIfAborted();
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const results: R[] = [];
  const errors: unknown[] = [];
  const queue = items.map((item, index) => ({ item, index }));
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined && errors.length === 0; next = queue.shift()) {
      try {
        results[next.index] = await work(next.item, signal);
      } catch (error) {
        errors.push(error);
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce() }, worker));
  if (errors.length > 0) throw errors[0];
  return results;
}

function atOnce(): number {
  const byMemory = Math.floor(freemem() / PROCESS_BYTES);
  return Math.max(1, Math.min(MAX_AT_ONCE, availableParallelism(), byMemory));
}
