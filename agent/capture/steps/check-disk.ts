/**
 * Check disk: room for the archives. Input: the volumes. An archive is at most as large as the allocated files and their
 * headers; how well it compresses is not known before, so the worst is assumed.
 */
import { spaceByFileSystem, spaceRefusals } from '../../fs/disk-space.ts';
import { readMounts } from '../../fs/mounts.ts';
import type { Step } from '../../restore/saga.ts';
import { refuse } from '../../restore/steps/preflight.ts';
import type { CaptureFacts } from '../facts.ts';

/** Header, padding and extended attributes of one entry, before compression. */
const BYTES_PER_ENTRY = 1024;

export const checkDisk: Step<CaptureFacts, 'check_disk'> = {
  name: 'check_disk',

  async act({ deps, fact }) {
    const { volumes } = fact('preflight');
    const sizes = await Promise.all(volumes.map((volume) => deps.archiver.measure(volume.path)));
    const bytes = sizes.reduce((sum, size) => sum + size.allocatedBytes + size.entries * BYTES_PER_ENTRY, 0);
    const need = { path: deps.config.stateDir, bytes, inodes: volumes.length + 4 };
    const fileSystems = spaceByFileSystem([need], readMounts());
    refuse(spaceRefusals(fileSystems));
    return { fileSystems, contentBytes: sizes.reduce((sum, size) => sum + size.contentBytes, 0) };
  },
};
