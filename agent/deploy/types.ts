/** Containers as a saga remembers them: plain JSON, journaled before the first one is touched. */
import type { ContainerState, RestartPolicy } from '../docker/engine.ts';

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
}
