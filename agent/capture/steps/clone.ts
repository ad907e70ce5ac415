/**
 * Clone: the copies become what the volumes hold in the freeze; only what changed since the last pass is taken. Without
 * copies the archives are written here and now. Input: the copies. Undo removes the snapshot that may be there then.
 * While containers stand still nothing is tried again: what may pass by itself fails the capture, and they run.
 */
import { RefloatError, toRefloatError } from '../../../db/errors.ts';
import type { Step } from '../../restore/saga.ts';
import { passOver, takenBy, withoutCopies } from '../copies.ts';
import type { CaptureFacts } from '../facts.ts';
import { standStill } from '../thaw.ts';
import { discard, publish } from './archive.ts';

export const clone: Step<CaptureFacts, 'clone'> = {
  name: 'clone',

  async act(context) {
    if (context.fact('catch_up').caughtUp) {
      try {
        const summaries = await passOver(context, 'frozen');
        const reflink = context.fact('check_disk').copies.every((copy) => copy.reflink);
        return {
          by: reflink ? 'reflink' : 'copy',
          taken: takenBy(summaries),
          skipped: Object.fromEntries([...summaries].map(([volume, { skipped }]) => [volume, skipped])),
        };
      } catch (thrown) {
        withoutCopies(context, thrown);
      }
    }
    try {
      await publish(context, true);
    } catch (thrown) {
      throw standStill(context) ? forGood(thrown) : thrown;
    }
    return { by: 'archive', taken: 0, skipped: {} };
  },

  async undo(context) {
    await discard(context);
  },
};

/** The same, and no reason to try again. */
function forGood(thrown: unknown): RefloatError {
  const error = toRefloatError(thrown).toJSON();
  return RefloatError.fromJSON({ ...error, disposition: error.disposition === 'retry' ? 'fail' : error.disposition });
}
