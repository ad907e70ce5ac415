/**
 * Clone: the copies become what the volumes hold in the freeze; only what changed since the last pass is taken. Without
 * copies the archives are written here and now. Input: the copies. Undo removes the snapshot that may be there then.
 */
import type { Step } from '../../restore/saga.ts';
import { passOver, takenBy, withoutCopies } from '../copies.ts';
import type { CaptureFacts } from '../facts.ts';
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
    await publish(context, true);
    return { by: 'archive', taken: 0, skipped: {} };
  },

  async undo(context) {
    await discard(context);
  },
};
