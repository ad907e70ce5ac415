/** Containers as a saga remembers them: plain JSON, journaled before the first one is touched. */

import type { ContainerState, MountInfo, RestartPolicy } from '../docker/engine.ts';
import type { WorkloadRef } from '../intents/claimed-intent.ts';

export interface QuiescedContainer {
  readonly id: string;
  readonly name: string;
  readonly imageId: string;
  readonly image: string;
  readonly state: ContainerState;
  /** Running, paused or restarting: it is started again by resume. */
  readonly active: boolean;
  readonly restartPolicy: RestartPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly startedAt: string | null;
  /** What it mounts from the host; decides whether it would see the workload's volumes where they are now. */
  readonly mounts: readonly MountInfo[];
}

/** Everything that a redeploy decides by, besides the engine's own state. Journaled, so that recovery can give it again. */
export interface RedeployInput {
  readonly workload: WorkloadRef;
  /** As recorded before the first container was touched. */
  readonly before: readonly QuiescedContainer[];
  /** `sha256:…`: what the workload comes up on, whatever a tag points to now. */
  readonly imageId: string;
  /** The reference to show for that image; default the one in the configuration. */
  readonly image?: string;
  readonly intentId: string;
  /** Live directory on the host by volume name, for the volumes that have one. */
  readonly hostPaths: ReadonlyMap<string, string>;
}

export interface RedeployResult {
  /** Ids of the workload's containers, the stopped ones too. */
  readonly containers: string[];
  /** Those of them that were started; the ones that the health gate looks at. */
  readonly started: string[];
  readonly recreated: boolean;
}
