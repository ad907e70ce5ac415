/**
 * Check disk: bytes and inodes per file system, for staging and for the pre-restore snapshot, with a reserve. Input: the targets.
 * Where there is no room, what the workload holds of earlier restores is given up first, if all of it would make the room.
 */
import { spaceRefusals } from '../../fs/disk-space.ts';
import type { RestoreFacts } from '../facts.ts';
import { giveUpOne, roomToMake } from '../low-disk.ts';
import { measureSpace } from '../plan.ts';
import type { Step } from '../saga.ts';
import { refuse } from './preflight.ts';

export const checkDisk: Step<RestoreFacts, 'check_disk'> = {
  name: 'check_disk',

  async act({ deps, intent, fact, warn }) {
    const { targets, adoptedFrom } = fact('preflight');
    for (;;) {
      const { fileSystems } = await measureSpace(deps, targets);
      // What this workload holds from before may make the room; each has a verified snapshot.
      const { refusals, full } = await roomToMake(deps, intent, fileSystems, adoptedFrom);
      // Nothing is given up for a restore that is refused all the same.
      refuse(refusals);
      if (full.length === 0) return { fileSystems };
      const ended = await giveUpOne(deps, intent, full, adoptedFrom);
      if (ended === null) refuse(spaceRefusals(fileSystems));
      else
        warn(`low disk: the previous tree that the intent ${ended} held was given up; its pre-restore snapshot stays`);
    }
  },
};
