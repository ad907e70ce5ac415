/**
 * A workload can begin as a container that was started without Refloat. Docker cannot add labels to it, so it is known by
 * what cannot be by chance: it has the workload's name, no workload's label, and mounts all of the workload's volumes where
 * they belong.
 */
import type { WorkloadConfig } from '../../db/workload.ts';
import type { ContainerInfo, Engine } from '../docker/engine.ts';
import { WORKLOAD_LABEL } from './labels.ts';
import { mountsVolumes } from './still-match.ts';

/**
 * @param hostPaths live directory by volume name
 * @returns the adopted container, or null; never more than one
 */
export async function findAdopted(
  engine: Pick<Engine, 'inspect'>,
  config: WorkloadConfig,
  hostPaths: ReadonlyMap<string, string>,
): Promise<ContainerInfo | null> {
  const found = await engine.inspect(config.name);
  // Docker also answers to the beginning of an id.
  if (found === null || found.name !== config.name) return null;
  if (found.labels[WORKLOAD_LABEL] !== undefined || hostPaths.size === 0) return null;
  return (await mountsVolumes(found.mounts, config, hostPaths)) ? found : null;
}
