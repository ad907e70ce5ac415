/** Check disk: bytes and inodes per file system, for staging and for the pre-restore snapshot, with a reserve. Input: the targets. */
import { spaceRefusals } from '../../fs/disk-space.ts';
import type { RestoreFacts } from '../facts.ts';
import { measureSpace } from '../plan.ts';
import type { Step } from '../saga.ts';
import { refuse } from './preflight.ts';

export const checkDisk: Step<RestoreFacts, 'check_disk'> = {
  name: 'check_disk',

  async act({ deps, fact }) {
    const { fileSystems } = await measureSpace(deps, fact('preflight').targets);
    refuse(spaceRefusals(fileSystems));
    return { fileSystems };
  },
};
