/** From what a person types to what the API wants: workloads by name or id, snapshots by id or `latest`. */
import { RefloatError } from '../../../db/errors.ts';
import { isUuid } from '../../../db/ids.ts';
import type { Api } from './api.ts';
import type { HostAnswer, SnapshotAnswer, WorkloadAnswer } from './wire.ts';

export async function listHosts(api: Api): Promise<readonly HostAnswer[]> {
  return api.list<HostAnswer>('/api/hosts', 'hosts');
}

export async function listWorkloads(api: Api): Promise<readonly WorkloadAnswer[]> {
  return api.list<WorkloadAnswer>('/api/workloads', 'workloads');
}

/** A host that is not revoked, by name or id; throws `HOST_NOT_FOUND`. */
export async function findHost(api: Api, nameOrId: string): Promise<HostAnswer> {
  return hostAmong(await listHosts(api), nameOrId);
}

/** Throws `HOST_NOT_FOUND`. */
export function hostAmong(hosts: readonly HostAnswer[], nameOrId: string): HostAnswer {
  const usable = hosts.filter((host) => host.revokedAt === null || host.revokedAt === undefined);
  const found =
    usable.find((host) => host.name === nameOrId) ?? usable.find((host) => host.id === nameOrId.toLowerCase());
  if (found !== undefined) return found;
  throw new RefloatError('HOST_NOT_FOUND', `there is no host "${nameOrId}"`, {
    hint: 'See them with: refloat hosts ls',
  });
}

/** Newest first. */
export async function listSnapshots(api: Api, workloadId: string): Promise<readonly SnapshotAnswer[]> {
  const snapshots = await api.list<SnapshotAnswer>(`/api/workloads/${workloadId}/snapshots`, 'snapshots');
  return snapshots.sort((a, b) => Date.parse(b.capturedAt) - Date.parse(a.capturedAt));
}

/** A workload by name or id; throws `WORKLOAD_NOT_FOUND`. A name wins over an id that looks the same. */
export async function findWorkload(api: Api, nameOrId: string): Promise<WorkloadAnswer> {
  const workloads = await listWorkloads(api);
  const found =
    workloads.find((workload) => workload.name === nameOrId) ??
    workloads.find((workload) => workload.id === nameOrId.toLowerCase());
  if (found !== undefined) return found;
  throw new RefloatError('WORKLOAD_NOT_FOUND', `there is no workload "${nameOrId}"`, {
    hint: 'See them with: refloat workloads ls',
    details: workloads.length === 0 ? {} : { known: workloads.slice(0, 20).map((workload) => workload.name) },
  });
}

/**
 * A snapshot's id. `latest` is the newest capture or import: a pre-restore snapshot holds what a restore took away, and is
 * restored by `refloat undo` or by its id.
 */
export async function findSnapshotId(api: Api, workload: WorkloadAnswer, snapshot: string): Promise<string> {
  if (snapshot !== 'latest') {
    if (isUuid(snapshot)) return snapshot.toLowerCase();
    throw new RefloatError('USAGE', `"${snapshot}" is neither the id of a snapshot nor "latest"`, {
      hint: `See them with: refloat snapshots ls ${workload.name}`,
    });
  }
  const found = (await listSnapshots(api, workload.id)).find((candidate) => candidate.kind !== 'pre-restore');
  if (found !== undefined) return found.id;
  throw new RefloatError('SNAPSHOT_NOT_FOUND', `workload "${workload.name}" has no snapshot yet`, {
    hint: `Make one with: refloat capture ${workload.name} --wait`,
  });
}

/** Refuses, before anything is sent, what cannot be an intent's id. */
export function intentId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw new RefloatError('USAGE', `"${text}" is not the id of an intent`, {
    hint: 'See them with: refloat intents ls',
  });
}
