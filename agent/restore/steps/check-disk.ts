/**
 * Check disk: bytes and inodes per file system, for staging and for the pre-restore snapshot, with a reserve. Input: the targets.
 * Where there is no room, what the workload holds of earlier restores is given up first, if all of it would make the room.
 */
import { spaceRefusals } from '../../fs/disk-space.ts';
import type { RestoreFacts } from '../facts.ts';
import { giveUpOne, roomHeld, withRoom } from '../low-disk.ts';
import { measureSpace } from '../plan.ts';
import type { Step } from '../saga.ts';
import { refuse } from './preflight.ts';

export const checkDisk: Step<RestoreFacts, 'check_disk'> = {
  name: 'check_disk',

  async act({ deps, intent, fact, warn }) {
    const { targets, adoptedFrom } = fact('preflight');
    for (;;) {
      const { fileSystems } = await measureSpace(deps, targets);
      const refusals = spaceRefusals(fileSystems);
      if (refusals.length === 0) return { fileSystems };
      // What this workload holds from before may make the room; each has a verified snapshot.
      const full = fileSystems.filter((fileSystem) => spaceRefusals([fileSystem]).length > 0);
      const places = full.map(({ mountPoint }) => mountPoint);
      const rooms = await roomHeld(deps, intent, places, adoptedFrom);
      // Nothing is given up for a restore that is refused all the same.
      if (spaceRefusals(withRoom(full, rooms)).length > 0) refuse(refusals);
      const ended = await giveUpOne(deps, intent, places, adoptedFrom);
      if (ended === null) refuse(refusals);
      else
        warn(`low disk: the previous tree that the intent ${ended} held was given up; its pre-restore snapshot stays`);
    }
  },
};
