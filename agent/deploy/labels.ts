/** The labels of a workload's containers; part of the public surface. */
import type { Engine } from '../docker/engine.ts';

export const WORKLOAD_LABEL = 'refloat.workload';
/** Hash of the configuration, see `spec-hash.ts`. A container that was adopted has none. */
export const SPEC_LABEL = 'refloat.spec';
/** The intent that created the container. */
export const INTENT_LABEL = 'refloat.intent';
/** The host whose agent is responsible: two agents on one engine leave each other's unfinished deploys alone. */
export const HOST_LABEL = 'refloat.host';
/** The image reference, for display: the container itself is pinned to an image id. */
export const IMAGE_LABEL = 'refloat.image';

/** Whose lock whoever works on a container holds: its workload's; where it names none, its own (see workload-lock.ts). */
export function lockIdOf({
  id,
  labels,
}: {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}): string {
  return labels[WORKLOAD_LABEL] ?? id;
}

/** For `Engine.list`. */
export function workloadFilter(workloadId: string): NonNullable<Parameters<Engine['list']>[0]> {
  return { label: `${WORKLOAD_LABEL}=${workloadId}` };
}
