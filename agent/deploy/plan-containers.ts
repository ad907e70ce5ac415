/** From a workload's configuration to the containers that Docker is to create. Pure: the same input gives the same plan. */
import { RefloatError } from '../../db/errors.ts';
import type { WorkloadConfig } from '../../db/workload.ts';
import type { ContainerSpec, RestartPolicy } from '../docker/engine.ts';
import type { WorkloadRef } from '../intents/claimed-intent.ts';
import { HOST_LABEL, IMAGE_LABEL, INTENT_LABEL, SPEC_LABEL, WORKLOAD_LABEL } from './labels.ts';
import { specHash } from './spec-hash.ts';

export interface PlanInput {
  readonly workload: WorkloadRef;
  /** Live directory on the host by volume name; every volume of a scope that has one must be in it. */
  readonly hostPaths: ReadonlyMap<string, string>;
  /** `sha256:…` or a reference; what the containers are created from. */
  readonly imageId: string;
  /** The reference to show. */
  readonly image: string;
  readonly intentId: string;
  /** Default `<workload>-1`, `<workload>-2`, … as many as the configuration has replicas. */
  readonly names?: readonly string[];
}

/** @throws Error when a volume has no host path: a defect of the caller */
export function planContainers(input: PlanInput): ContainerSpec[] {
  const { config } = input.workload;
  const names = input.names ?? defaultNames(config);
  return names.map((name) => ({
    name,
    image: input.imageId,
    ...(config.command === undefined ? {} : { command: config.command }),
    ...(config.entrypoint === undefined ? {} : { entrypoint: config.entrypoint }),
    ...(config.user === undefined ? {} : { user: config.user }),
    env: config.env,
    labels: {
      [WORKLOAD_LABEL]: input.workload.id,
      [SPEC_LABEL]: specHash(config),
      [INTENT_LABEL]: input.intentId,
      [HOST_LABEL]: config.hostId,
      [IMAGE_LABEL]: input.image,
    },
    network: config.network,
    ports: config.ports.map((port) => ({
      container: port.container,
      ...(port.host === undefined ? {} : { host: port.host }),
      ...(port.ip === undefined ? {} : { ip: port.ip }),
      ...(port.protocol === undefined ? {} : { protocol: port.protocol }),
    })),
    mounts: config.volumes.map((volume) => mountOf(volume, name, input.hostPaths)),
    restartPolicy: parseRestartPolicy(config.restart),
    stopTimeoutSeconds: config.stopTimeoutSeconds,
  }));
}

/** `<workload>-1`, `<workload>-2`, … */
export function defaultNames(config: Pick<WorkloadConfig, 'name' | 'replicas'>): string[] {
  return Array.from({ length: config.replicas }, (_, index) => `${config.name}-${index + 1}`);
}

/**
 * What a volume is inside a container. `named` stays a Docker volume, so that Docker shows it as one. `instance` is a Docker volume
 * of its own per replica, which outlives the container; `ephemeral` is a tmpfs, gone with it.
 */
function mountOf(
  volume: WorkloadConfig['volumes'][number],
  containerName: string,
  hostPaths: ReadonlyMap<string, string>,
): ContainerSpec['mounts'][number] {
  const { target, readOnly } = volume;
  switch (volume.scope) {
    case 'named':
      return { type: 'volume', source: volume.source, target, readOnly };
    case 'instance':
      return { type: 'volume', source: `${containerName}-${volume.name}`, target, readOnly };
    case 'ephemeral':
      return { type: 'tmpfs', source: '', target, readOnly };
    case 'absolute':
    case 'project':
    case 'stage': {
      const source = hostPaths.get(volume.name);
      if (source === undefined) throw new Error(`no host path for volume ${volume.name}`);
      return { type: 'bind', source, target, readOnly };
    }
    default:
      return volume.scope satisfies never;
  }
}

/**
 * `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`.
 * @throws RefloatError `VALIDATION_FAILED`
 */
export function parseRestartPolicy(text: string): RestartPolicy {
  const match = /^(?:(no|always|unless-stopped)|(on-failure)(?::(\d{1,4}))?)$/.exec(text);
  if (match === null) {
    throw new RefloatError('VALIDATION_FAILED', `"${text}" is not a restart policy`, {
      hint: 'Use no, always, unless-stopped, on-failure or on-failure:N.',
    });
  }
  const [, plain, onFailure, retries] = match;
  return { name: (plain ?? onFailure) as RestartPolicy['name'], maximumRetryCount: Number(retries ?? 0) };
}

/** Docker gives an empty name for `no`, and keeps no count but for `on-failure`. */
export function samePolicy(a: RestartPolicy, b: RestartPolicy): boolean {
  return (
    (a.name || 'no') === (b.name || 'no') && (a.name !== 'on-failure' || a.maximumRetryCount === b.maximumRetryCount)
  );
}
