/**
 * The narrow interface through which everything else speaks with the Docker engine. `dockerode-engine.ts` implements it.
 *
 * Guarantees of an implementation: every call has a time-out and honours an AbortSignal; "already so" (304, or a 404 when
 * something is to be gone) is success; every failure is a RefloatError with one of the codes `ENGINE_UNAVAILABLE` (no
 * engine answers), `ENGINE_TIMEOUT`, `ENGINE_FAILED` (it answered with an error; `details.status`), `CONTAINER_FAILED`.
 */

import type { ContainerConfiguration } from './configuration.ts';

export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface RestartPolicy {
  readonly name: '' | 'no' | 'always' | 'unless-stopped' | 'on-failure';
  readonly maximumRetryCount: number;
}

export interface MountInfo {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'npipe' | 'cluster';
  /** Path on the host; empty for tmpfs. */
  readonly source: string;
  readonly destination: string;
  readonly readWrite: boolean;
  /** Docker volume's name, when type is `volume`. */
  readonly name?: string;
}

export interface ContainerInfo {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** `sha256:…`: what runs, whatever a tag points to now. */
  readonly imageId: string;
  /** The reference that it was created with; for display. */
  readonly image: string;
  readonly state: ContainerState;
  /** True for running, paused and restarting: the processes exist, or will without anybody asking. */
  readonly active: boolean;
  readonly health: 'none' | 'starting' | 'healthy' | 'unhealthy';
  readonly restartCount: number;
  readonly restartPolicy: RestartPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly MountInfo[];
  /** RFC 3339. `startedAt` is null if it never ran. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly exitCode: number;
  readonly error: string;
  /** Started with `--rm`: Docker removes it as soon as it stops, so it cannot be quiesced. */
  readonly autoRemove: boolean;
}

/** An active container and what it mounts. */
export type ActiveContainer = Pick<ContainerInfo, 'id' | 'name' | 'labels' | 'mounts'>;

/** What to create; made from a workload's configuration by the deployer. */
export interface ContainerSpec {
  readonly name: string;
  /** Reference or image id (`sha256:…`). */
  readonly image: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly network: string;
  readonly ports: readonly { container: number; host?: number; ip?: string; protocol?: 'tcp' | 'udp' }[];
  /** `bind` of a host path that must exist; `volume`: source is the Docker volume's name; `tmpfs`: source is not used. */
  readonly mounts: readonly { type: 'bind' | 'volume' | 'tmpfs'; source: string; target: string; readOnly: boolean }[];
  readonly restartPolicy: RestartPolicy;
  readonly stopTimeoutSeconds: number;
}

export interface Engine {
  /** Version of the engine; throws `ENGINE_UNAVAILABLE`. */
  ping(): Promise<{ version: string }>;
  /** All containers, or those with a label, stopped ones too, each fully inspected; one that vanishes meanwhile is left out. */
  list(filter?: { label?: string }): Promise<ContainerInfo[]>;
  /** What every active container mounts, in one quick call: it is asked while a workload is down. */
  activeMounts(): Promise<ActiveContainer[]>;
  /** By id or name; null if there is none. */
  inspect(id: string): Promise<ContainerInfo | null>;
  /** What a container was given beyond its image's own settings; null if there is none, or its image is gone. */
  configuration(id: string): Promise<ContainerConfiguration | null>;
  create(spec: ContainerSpec): Promise<string>;
  /**
   * Started, or ran already; false then. Whoever started it may have done so before the caller changed what it mounts, and one that
   * is being stopped runs until it ends.
   */
  start(id: string): Promise<boolean>;
  /** Stopped, or was already, or is gone. Docker kills it after `timeoutSeconds`; the call's own time-out is that plus a margin. */
  stop(id: string, timeoutSeconds: number): Promise<void>;
  pause(id: string): Promise<void>;
  unpause(id: string): Promise<void>;
  /** Removed, or was gone. Anonymous volumes are kept. */
  remove(id: string): Promise<void>;
  rename(id: string, name: string): Promise<void>;
  setRestartPolicy(id: string, policy: RestartPolicy): Promise<void>;
  /** `sha256:…` of a reference or id that is on this host, else null. */
  imageId(reference: string): Promise<string | null>;
  /** Fetches a reference from its registry. @throws RefloatError `IMAGE_GONE` when the registry does not have it or cannot be reached */
  pull(reference: string, signal?: AbortSignal): Promise<void>;
  /** The last `tail` lines that a container wrote to stdout and stderr, at most 16 KiB; empty if its log driver cannot tell. */
  logs(id: string, tail: number): Promise<string>;
  /** A local Docker volume; null if there is none. `options` is not empty when it is a mount of something else. */
  volume(
    name: string,
  ): Promise<{ driver: string; mountPoint: string; options: Readonly<Record<string, string>> } | null>;
  /** Created, or was there already. */
  createVolume(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** Runs a command in a running container and waits for it. `output` is stdout and stderr, at most 64 KiB, the end kept. */
  exec(id: string, command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
}
