/** Meets failures that pass by themselves, such as an engine that restarts, with another try. */
import { setTimeout as delay } from 'node:timers/promises';
import { toRefloatError } from '../db/errors.ts';

/** Between two tries, in ms: a minute in all. */
const RETRY_PAUSES_MS = [100, 300, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];

/**
 * @param signal ends the waiting; its reason is thrown then
 * @param anyway as often it is tried whatever it fails with; more often only when the failure has disposition `retry`
 * @throws what the last try threw
 */
export async function withRetries<T>(work: () => Promise<T>, signal: AbortSignal, anyway = 1): Promise<T> {
  for (const [tries, pause] of RETRY_PAUSES_MS.entries()) {
    try {
      return await work();
    } catch (thrown) {
      const error = toRefloatError(thrown);
      const mayPass = error.disposition === 'retry' || (tries + 1 < anyway && error.disposition !== 'stuck');
      if (!mayPass || signal.aborted) throw thrown;
    }
    await delay(pause, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) signal.throwIfAborted();
  }
  return work();
}
