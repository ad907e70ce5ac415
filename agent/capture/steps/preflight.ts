/**
 * Preflight: every check, before anything is touched. Input: the intent. Resolves every volume of the current configuration
 * and refuses with the first problem, naming all of them.
 */
import { RefloatError, toRefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { findAdopted } from '../../deploy/find-adopted.ts';
import { findOutsiders } from '../../deploy/outsiders.ts';
import { pickImage } from '../../deploy/pick-image.ts';
import { recordContainers } from '../../deploy/quiesce.ts';
import type { QuiescedContainer } from '../../deploy/types.ts';
import { shareOf } from '../../deploy/workload-lock.ts';
import type { AgentDeps } from '../../deps.ts';
import { resolveVolume } from '../../fs/volume-path.ts';
import type { ClaimedIntent, WorkloadRef } from '../../intents/claimed-intent.ts';
import { assertNothingUnfinished } from '../../restore/journal-dir.ts';
import { sameDirectoryRefusals } from '../../restore/nesting.ts';
import type { Step } from '../../restore/saga.ts';
import { warnOfWait } from '../../restore/sharing.ts';
import { refuse } from '../../restore/steps/preflight.ts';
import type { SnapshotSource } from '../../snapshots/create-snapshot.ts';
import type { CaptureFacts } from '../facts.ts';

export const preflight: Step<CaptureFacts, 'preflight'> = {
  name: 'preflight',

  async act({ deps, intent, lock, signal, warn }) {
    const { workload } = intent;
    assertNothingUnfinished(deps.config.stateDir, workload.id, intent.id);
    const { volumes, refusals } = await resolveAll(deps, intent);
    refuse(refusals);
    const paths = volumes.map((volume) => volume.path);
    // In the middle of a restore of another workload they are neither old nor new, and containers of this one may be stopped.
    const { adopted, containers } = await lock.takeForWhatIsSeen(
      () => lookAt(deps, workload, volumes),
      (seen) => shareOf(seen.containers, paths),
      signal,
      (names) => warnOfWait(names, warn),
    );
    for (const id of adopted) assertNothingUnfinished(deps.config.stateDir, id, intent.id);
    for (const outsider of await findOutsiders(deps.engine, workload.id, paths, adopted)) {
      if (outsider.readOnly) continue;
      warn(
        `the container "${outsider.name}", which is not one of the workload's, can write to ${outsider.path} while it is captured`,
      );
    }
    const image = await pickImage(deps.engine, workload, containers).catch((thrown: unknown) => {
      // A capture needs no image; that a restore will miss it is worth a word.
      const error = toRefloatError(thrown);
      if (error.code !== 'IMAGE_GONE') throw error;
      warn(error.message);
      return null;
    });
    return {
      snapshotId: newId(),
      volumes,
      image: image?.reference ?? workload.config.image,
      imageId: image?.id ?? '',
      adopted,
    };
  },
};

async function lookAt(
  deps: AgentDeps,
  { id, config }: WorkloadRef,
  volumes: readonly SnapshotSource[],
): Promise<{ adopted: string[]; containers: QuiescedContainer[] }> {
  const hostPaths = new Map(volumes.map(({ name, path }) => [name, path]));
  const adopted = (await findAdopted(deps.engine, config, hostPaths)).map((container) => container.id);
  return { adopted, containers: await recordContainers(deps.engine, id, adopted) };
}

async function resolveAll(
  deps: AgentDeps,
  { workload }: ClaimedIntent,
): Promise<{ volumes: SnapshotSource[]; refusals: RefloatError[] }> {
  const { config } = workload;
  const refusals: RefloatError[] = [];
  const volumes: SnapshotSource[] = [];
  if (config.source !== 'image') {
    refusals.push(
      new RefloatError('SOURCE_NOT_IMAGE', `workloads with source "${config.source}" cannot be captured`, {
        hint: 'Only workloads with source "image" can.',
      }),
    );
  }
  if (config.volumes.length === 0) {
    refusals.push(
      new RefloatError('NO_VOLUMES', `the workload "${config.name}" has no volumes, so there is nothing to capture`, {
        hint: "Add a volume to the workload's configuration.",
      }),
    );
  }
  for (const volume of config.volumes) {
    try {
      const { name, scope, source, target, live, exists } = await resolveVolume(deps, config, volume);
      if (exists) volumes.push({ name, scope, source, target, path: live });
      else refusals.push(notThere(name, live));
    } catch (thrown) {
      refusals.push(toRefloatError(thrown));
    }
  }
  refusals.push(...sameDirectoryRefusals(volumes.map(({ name, path }) => ({ name, live: path }))));
  return { volumes, refusals };
}

/** A restore could not tell which volume a file belongs to, so such a snapshot is not made. */
function notThere(volume: string, live: string): RefloatError {
  return new RefloatError('SOURCE_MISSING', `volume "${volume}": there is no directory ${live}`, {
    hint: 'Deploy the workload once, so that it has data.',
    details: { volume, live },
  });
}
