/**
 * Makes sure that every volume of a workload is there before a container is created on it.
 *
 * Guarantees: what is created lies inside the base of its scope, by the same rule as for a restore; what exists is not touched.
 * Does not guarantee: ownership for programs that run as a user whose number the configuration does not give.
 */
import { chown } from 'node:fs/promises';
import { RefloatError } from '../../db/errors.ts';
import { isSupportedScope } from '../../db/scopes.ts';
import type { AgentDeps } from '../deps.ts';
import { makeDirectoriesDurably } from '../fs/durable.ts';
import { requireAllowedVolume, resolveVolume } from '../fs/volume-path.ts';
import type { WorkloadRef } from '../intents/claimed-intent.ts';
import { WORKLOAD_LABEL } from './labels.ts';

/**
 * Directories and Docker volumes that are missing are created.
 * @returns the live directory by volume name, for the volumes that have one
 * @throws RefloatError as `resolveVolume`, and the engine's codes
 */
export async function ensureVolumes(
  deps: Pick<AgentDeps, 'engine' | 'config'>,
  workload: WorkloadRef,
): Promise<Map<string, string>> {
  const hostPaths = new Map<string, string>();
  for (const volume of workload.config.volumes) {
    // instance and ephemeral have no place on the host that would be the workload's; see plan-containers.ts.
    if (!isSupportedScope(volume.scope)) continue;
    if (volume.scope === 'named') requireAllowedVolume(deps.config.allowedVolumes, volume);
    if (volume.scope === 'named' && (await deps.engine.volume(volume.source)) === null) {
      await deps.engine.createVolume(volume.source, { [WORKLOAD_LABEL]: workload.id });
    }
    const first = await resolveVolume(deps, workload.config, volume);
    if (!first.exists) {
      makeDirectoriesDurably(first.live);
      await giveTo(first.live, workload.config.user);
    }
    // Once more: what was created must be what was meant, whatever happened to its parents meanwhile.
    const target = await resolveVolume(deps, workload.config, volume);
    if (!target.exists) {
      throw new RefloatError('SOURCE_MISSING', `volume "${volume.name}": ${target.live} could not be created`, {
        hint: 'Create the directory yourself.',
        details: { volume: volume.name },
      });
    }
    hostPaths.set(volume.name, target.live);
  }
  return hostPaths;
}

/** Where the volumes are or will be; nothing is made. What cannot be told, `ensureVolumes` refuses. */
export async function locateVolumes(
  deps: Pick<AgentDeps, 'engine' | 'config'>,
  { config }: WorkloadRef,
): Promise<string[]> {
  const located = await Promise.allSettled(config.volumes.map((volume) => resolveVolume(deps, config, volume)));
  return located.flatMap((each) => (each.status === 'fulfilled' ? [each.value.live] : []));
}

/** A new directory belongs to whom the containers run as, when the configuration says so in numbers. */
async function giveTo(path: string, user: string | undefined): Promise<void> {
  const match = /^(\d+)(?::(\d+))?$/.exec(user ?? '');
  if (match === null) return;
  const uid = Number(match[1]);
  await chown(path, uid, match[2] === undefined ? uid : Number(match[2]));
}
