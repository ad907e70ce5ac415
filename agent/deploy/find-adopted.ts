/**
 * A workload can begin as containers that were started without Refloat. Docker cannot add labels to them, so they are known by
 * what cannot be by chance: each has a name that the workload claims (those that were adopted, else the workload's own), no workload's
 * label, and mounts all of the workload's volumes where they belong.
 */
import { RefloatError } from '../../db/errors.ts';
import type { WorkloadConfig } from '../../db/workload.ts';
import type { ContainerInfo, Engine } from '../docker/engine.ts';
import { WORKLOAD_LABEL } from './labels.ts';
import { mountsVolumes } from './still-match.ts';

/** @param hostPaths live directory by volume name */
export async function findAdopted(
  engine: Pick<Engine, 'inspect'>,
  config: WorkloadConfig,
  hostPaths: ReadonlyMap<string, string>,
): Promise<ContainerInfo[]> {
  if (hostPaths.size === 0) return [];
  const names = config.adopted?.containers ?? [config.name];
  const found = await Promise.all(names.map((name) => engine.inspect(name)));
  const adopted: ContainerInfo[] = [];
  for (const [index, container] of found.entries()) {
    // Docker also answers to the beginning of an id.
    if (container === null || container.name !== names[index]) continue;
    if (container.labels[WORKLOAD_LABEL] !== undefined) continue;
    if (mountsVolumes(container.mounts, config, hostPaths)) adopted.push(container);
  }
  return adopted;
}

/**
 * Before a container is made in the place of an adopted one: it would lack what the configuration lacks.
 * @throws RefloatError `ADOPTED_INCOMPLETE`
 */
export function assertComplete(config: WorkloadConfig): void {
  const lacking = config.adopted?.incomplete ?? [];
  if (lacking.length === 0) return;
  throw new RefloatError(
    'ADOPTED_INCOMPLETE',
    `the workload ${config.name} was adopted without ${lacking.join(', ')}: a container made from its configuration would lack that`,
    {
      hint: 'Bring the container back with what created it (Compose, Portainer, …). Or put into the workload what it needs, empty "adopted.incomplete", and deploy it.',
      details: { incomplete: lacking },
    },
  );
}
