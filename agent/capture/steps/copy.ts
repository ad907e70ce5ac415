/**
 * Copy: the volumes are copied beside themselves while the containers still run. Input: where each copy goes; none if the
 * archives are written inside the freeze. Undo removes the copies, wherever the capture stood.
 */
import type { Step } from '../../restore/saga.ts';
import { passOver, prepareCopies, removeCopies, withoutCopies } from '../copies.ts';
import type { CaptureFacts } from '../facts.ts';

export const copy: Step<CaptureFacts, 'copy'> = {
  name: 'copy',

  async act(context) {
    if (context.fact('check_disk').copies.length === 0) return { copied: false };
    try {
      await prepareCopies(context);
      await passOver(context, 'first');
      return { copied: true };
    } catch (thrown) {
      await removeCopies(context);
      withoutCopies(context, thrown);
      return { copied: false };
    }
  },

  async undo(context) {
    await removeCopies(context);
  },
};
