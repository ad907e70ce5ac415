/** Workloads of an enrolled test host: in the database, with data on the disk and containers in the real engine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planContainers } from '../../agent/deploy/plan-containers.ts';
import { newId } from '../../db/ids.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';
import type { AgentPlace } from './agent.ts';
import type { TestEngine } from './engine.ts';
import type { TestHost } from './host.ts';

export interface HostWorkload {
  readonly id: string;
  readonly name: string;
  /** Live directory of the volume `data`. */
  readonly live: string;
  /** Ids of its containers, which run. */
  readonly containers: readonly string[];
}

/** A workload with one volume `data` that holds a file, and as many running containers as it has replicas. */
export async function hostWorkload(
  docker: TestEngine,
  host: TestHost,
  place: AgentPlace,
  more: Partial<WorkloadConfigInput> = {},
): Promise<HostWorkload> {
  const id = docker.newWorkloadId();
  const source = `data-${id.slice(-12)}`;
  const input = {
    name: `w-${id.slice(-12)}`,
    project: 'p',
    image: docker.image,
    network: 'none',
    volumes: [{ name: 'data', scope: 'project' as const, source, target: '/volumes/data' }],
    stopTimeoutSeconds: 5,
    ...more,
  };
  await host.addWorkload(input, id);
  const config = WORKLOAD_CONFIG.parse({ ...input, hostId: host.id });
  const [volume] = config.volumes;
  const live = volume?.scope === 'absolute' ? volume.source : join(place.volumeBase, 'p', source);
  mkdirSync(live, { recursive: true });
  writeFileSync(join(live, 'file'), 'contents');
  const specs = planContainers({
    workload: { id, version: 1, config },
    hostPaths: new Map(config.volumes.map((volume) => [volume.name, live])),
    imageId: (await docker.engine.imageId(docker.image)) ?? '',
    image: docker.image,
    intentId: newId(),
  });
  const containers = await Promise.all(
    specs.map(async (spec) => {
      const container = await docker.engine.create(spec);
      await docker.engine.start(container);
      return container;
    }),
  );
  return { id, name: input.name, live, containers };
}

/** A hook that runs until the test makes the file `go` in the volume `data`. */
export const WAIT_FOR_GO = [
  'sh',
  '-c',
  ': > /volumes/data/waiting; while [ ! -e /volumes/data/go ]; do sleep 0.02; done',
];
