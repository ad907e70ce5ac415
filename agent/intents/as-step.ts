/** Lets an intent without a journal show its one step in the live progress, as the sagas show theirs. */
import { toRefloatError } from '../../db/errors.ts';
import type { IntentControl } from '../claim/intent-control.ts';

/** Runs `work` between the events `started` and `done` or `failed`; returns what it returned, and how long it took in ms. */
export async function asStep<T>(
  control: IntentControl,
  step: string,
  work: () => Promise<T>,
): Promise<{ value: T; ms: number }> {
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  control.emit('step', { step, status: 'started' });
  try {
    const value = await work();
    control.emit('step', { step, status: 'done', ms: ms() });
    return { value, ms: ms() };
  } catch (thrown) {
    control.emit('step', { step, status: 'failed', ms: ms(), error: toRefloatError(thrown).toJSON() });
    throw thrown;
  }
}
