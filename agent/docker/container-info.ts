/** From what Docker says of a container to a ContainerInfo, checked: an answer that lacks what we rely on is refused. */
import { z } from 'zod';
import type { ActiveContainer, ContainerInfo, MountInfo, RestartPolicy } from './engine.ts';

const MOUNTS = z
  .array(
    z.object({
      Type: z.string(),
      Name: z.string().nullish(),
      Source: z.string().default(''),
      Destination: z.string(),
      RW: z.boolean().default(true),
    }),
  )
  .nullish();

const INSPECTED = z.object({
  Id: z.string(),
  Name: z.string(),
  Created: z.string(),
  Image: z.string(),
  RestartCount: z.number().default(0),
  State: z.object({
    Status: z.enum(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']),
    ExitCode: z.number().default(0),
    Error: z.string().default(''),
    StartedAt: z.string().default(''),
    Health: z.object({ Status: z.string() }).nullish(),
  }),
  HostConfig: z.object({
    AutoRemove: z.boolean().default(false),
    RestartPolicy: z
      .object({
        Name: z.enum(['', 'no', 'always', 'unless-stopped', 'on-failure']).default(''),
        MaximumRetryCount: z.number().default(0),
      })
      .nullish(),
  }),
  Mounts: MOUNTS,
  Config: z.object({ Image: z.string().default(''), Labels: z.record(z.string(), z.string()).nullish() }),
});

const LISTED = z.array(
  z.object({
    Id: z.string(),
    Names: z.array(z.string()).nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    Mounts: MOUNTS,
  }),
);

/** @throws ZodError when the answer is not that of a Docker engine */
export function activeContainers(answer: unknown): ActiveContainer[] {
  return LISTED.parse(answer).map((found) => ({
    id: found.Id,
    // A container that others link to has names within theirs as well: `/other/alias`.
    name: (found.Names?.find((name) => name.lastIndexOf('/') === 0) ?? found.Id).replace(/^\//, ''),
    labels: found.Labels ?? {},
    mounts: (found.Mounts ?? []).map(mount),
  }));
}

/** @throws ZodError when the answer is not that of a Docker engine */
export function containerInfo(answer: unknown): ContainerInfo {
  const found = INSPECTED.parse(answer);
  const state = found.State.Status;
  return {
    id: found.Id,
    name: found.Name.replace(/^\//, ''),
    imageId: found.Image,
    image: found.Config.Image,
    state,
    active: state === 'running' || state === 'paused' || state === 'restarting',
    health: health(found.State.Health?.Status),
    restartCount: found.RestartCount,
    restartPolicy: restartPolicy(found.HostConfig.RestartPolicy),
    labels: found.Config.Labels ?? {},
    mounts: (found.Mounts ?? []).map(mount),
    createdAt: found.Created,
    // Docker writes the year 1 for "never".
    startedAt: found.State.StartedAt === '' || found.State.StartedAt.startsWith('0001-') ? null : found.State.StartedAt,
    exitCode: found.State.ExitCode,
    error: found.State.Error,
    autoRemove: found.HostConfig.AutoRemove,
  };
}

function health(status: string | undefined): ContainerInfo['health'] {
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : 'none';
}

function restartPolicy(
  policy: { Name: RestartPolicy['name']; MaximumRetryCount: number } | null | undefined,
): RestartPolicy {
  return { name: policy?.Name ?? '', maximumRetryCount: policy?.MaximumRetryCount ?? 0 };
}

function mount(found: {
  Type: string;
  Name?: string | null | undefined;
  Source: string;
  Destination: string;
  RW: boolean;
}): MountInfo {
  const { Type: type } = found;
  return {
    // A type that this version does not know keeps its source, so that nobody overlooks who mounts a path.
    type: type === 'volume' || type === 'tmpfs' || type === 'npipe' || type === 'cluster' ? type : 'bind',
    source: found.Source,
    destination: found.Destination,
    readWrite: found.RW,
    ...(typeof found.Name === 'string' && found.Name !== '' ? { name: found.Name } : {}),
  };
}
