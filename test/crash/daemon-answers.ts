/** What the simulated daemon holds of a container, and Docker's answers about it. */
import { lstatSync } from 'node:fs';

type PolicyName = '' | 'no' | 'always' | 'unless-stopped' | 'on-failure';

export interface DaemonContainer {
  id: string;
  name: string;
  imageId: string;
  image: string;
  state: 'created' | 'running' | 'paused' | 'exited';
  exitCode: number;
  restartCount: number;
  startedAt: string;
  createdAt: string;
  policy: { Name: PolicyName; MaximumRetryCount: number };
  labels: Record<string, string>;
  mounts: { Type: string; Source: string; Target: string; ReadOnly: boolean }[];
  /** A person or the agent stopped it: `unless-stopped` leaves it alone then. */
  stoppedByHand: boolean;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export const NOTHING: Answer = { status: 204 };

export function mountsOf(container: DaemonContainer): unknown[] {
  return container.mounts.map(({ Type, Source, Target, ReadOnly }) => ({
    Type,
    Source,
    Destination: Target,
    RW: !ReadOnly,
  }));
}

export function inspected(container: DaemonContainer): unknown {
  return {
    Id: container.id,
    Name: `/${container.name}`,
    Created: container.createdAt,
    Image: container.imageId,
    RestartCount: container.restartCount,
    State: {
      Status: container.state,
      ExitCode: container.exitCode,
      Error: '',
      StartedAt: container.startedAt,
    },
    HostConfig: { AutoRemove: false, RestartPolicy: container.policy },
    Mounts: mountsOf(container),
    Config: { Image: container.image, Labels: container.labels },
  };
}

export function refusal(status: number, message: string): Answer {
  return { status, body: { message } };
}

export function conflict(name: string): Answer {
  return refusal(409, `Conflict. The container name "/${name}" is already in use`);
}

export function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
