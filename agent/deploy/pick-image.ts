/** Which image a workload comes up on after a restore: the one that it ran, not what its tag points to by now. */
import { RefloatError } from '../../db/errors.ts';
import type { Engine } from '../docker/engine.ts';
import type { WorkloadRef } from '../intents/claimed-intent.ts';
import { IMAGE_LABEL } from './labels.ts';
import type { QuiescedContainer } from './types.ts';

export interface PickedImage {
  /** `sha256:…` */
  readonly id: string;
  /** For display. */
  readonly reference: string;
}

/**
 * The image of the container that was started last among the running ones; else of the one that was started last at all; else
 * what the configured reference stands for on this host. Null when there is neither.
 * @throws RefloatError `IMAGE_GONE` when the containers' image is not on the host any more
 */
export async function pickImage(
  engine: Engine,
  workload: WorkloadRef,
  containers: readonly QuiescedContainer[],
): Promise<PickedImage | null> {
  const [newest] = [...containers].sort(newestFirst);
  if (newest === undefined) {
    const id = await engine.imageId(workload.config.image);
    return id === null ? null : { id, reference: workload.config.image };
  }
  if ((await engine.imageId(newest.imageId)) === null) {
    throw new RefloatError(
      'IMAGE_GONE',
      `the image ${newest.imageId} of container ${newest.name} is not on this host any more`,
      {
        hint: `Load it again ("docker load" or "docker pull"), or deploy the workload on an image that is here.`,
        details: { image: newest.image, imageId: newest.imageId, container: newest.name },
      },
    );
  }
  return { id: newest.imageId, reference: newest.labels[IMAGE_LABEL] ?? newest.image };
}

function newestFirst(a: QuiescedContainer, b: QuiescedContainer): number {
  if (a.active !== b.active) return a.active ? -1 : 1;
  // RFC 3339 in UTC with nine or fewer digits of a second: compared as numbers, since "…1Z" sorts behind "…12Z".
  return time(b) - time(a);
}

function time(container: QuiescedContainer): number {
  return container.startedAt === null ? 0 : Date.parse(container.startedAt);
}
