/**
 * Check disk: room for the archives, and for copies of the volumes. Input: the volumes. An archive is at most as large as the
 * allocated files and their headers; how well it compresses is not known before, so the worst is assumed. Where there is no
 * room for copies there are none: then the archives are written inside the freeze, and the result says so.
 */
import { recordContainers } from '../../deploy/quiesce.ts';
import { type SpaceNeed, spaceByFileSystem, spaceRefusals } from '../../fs/disk-space.ts';
import { readMounts } from '../../fs/mounts.ts';
import type { Step, StepContext } from '../../restore/saga.ts';
import { refuse } from '../../restore/steps/preflight.ts';
import { noCopyWarning, planCopies } from '../copies.ts';
import type { CaptureFacts, Copy } from '../facts.ts';

/** Header, padding and extended attributes of one entry, before compression; its inode in a copy. */
const BYTES_PER_ENTRY = 1024;

export const checkDisk: Step<CaptureFacts, 'check_disk'> = {
  name: 'check_disk',

  async act(context) {
    const { deps, intent, fact } = context;
    const { volumes } = fact('preflight');
    const sizes = await Promise.all(volumes.map((volume) => deps.archiver.measure(volume.path)));
    const bytes = sizes.reduce((sum, size) => sum + size.allocatedBytes + size.entries * BYTES_PER_ENTRY, 0);
    const archives = { path: deps.config.stateDir, bytes, inodes: volumes.length + 4 };
    const mounts = readMounts();
    const contentBytes = sizes.reduce((sum, size) => sum + size.contentBytes, 0);
    const without = spaceByFileSystem([archives], mounts);
    refuse(spaceRefusals(without));
    if (!(await willFreeze(context))) return { fileSystems: without, contentBytes, copies: [] };

    const copies = planCopies(volumes, intent.id);
    const needs = copies.map((copy, index) => needOf(copy, sizes[index] ?? { allocatedBytes: 0, entries: 0 }));
    const fileSystems = spaceByFileSystem([archives, ...needs], mounts);
    const [noRoom] = spaceRefusals(fileSystems);
    if (noRoom === undefined) return { fileSystems, contentBytes, copies };
    context.warn(noCopyWarning(noRoom));
    return { fileSystems: without, contentBytes, copies: [] };
  },
};

/** Nothing that runs, nothing that has to stand still for long. */
async function willFreeze({ deps, intent, fact }: StepContext<CaptureFacts>): Promise<boolean> {
  if (intent.workload.config.capture.freeze === 'live') return false;
  const containers = await recordContainers(deps.engine, intent.workload.id, fact('preflight').adopted);
  return containers.some((container) => container.active && container.state !== 'paused');
}

function needOf(copy: Copy, size: { readonly allocatedBytes: number; readonly entries: number }): SpaceNeed {
  const data = copy.reflink ? 0 : size.allocatedBytes;
  return { path: copy.privateDirectory, bytes: data + size.entries * BYTES_PER_ENTRY, inodes: size.entries + 8 };
}
