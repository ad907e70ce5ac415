import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { findReportedContainers, listContainersOfHost } from '../../db/queries/find-reported-containers.ts';
import { insertWorkload } from '../../db/queries/insert-workload.ts';
import type { ContainerRow } from '../../db/queries/list-containers.ts';
import { listWorkloads } from '../../db/queries/list-workloads.ts';
import { ringHosts } from '../../db/queries/ring-hosts.ts';
import { adoptedConfig } from '../adopted-config.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { WORKLOAD, workloadAnswer } from '../wire.ts';

const BODY = z.strictObject({
  container: z.string().min(1).max(255).describe('Name, or the beginning of the id'),
  hostId: z.uuid().optional().describe('Needed when several hosts have one of that name'),
  only: z.boolean().default(false).describe('Not the other containers of its Compose service'),
  name: z.string().max(63).optional().describe('Of the workload; of the service or the container unless given'),
  project: z.string().max(63).optional(),
  stage: z.string().max(63).optional(),
  volumes: z
    .array(z.string().max(4096))
    .max(64)
    .optional()
    .describe('Paths inside the container; all mounts unless given'),
  env: z.record(z.string(), z.string()).optional().describe('Its environment, where the host does not tell it'),
});

export const adoptWorkload = endpoint(
  {
    method: 'post',
    path: '/api/workloads/adopt',
    name: 'adoptWorkload',
    summary: 'A workload of containers that something else created and that go on running as they are',
    access: 'workloads:write',
    body: BODY,
    answers: {
      201: { description: 'Created; adopted.incomplete names what could not be taken over', schema: WORKLOAD },
      404: { description: 'No host has reported such a container' },
      409: { description: 'It is one of a workload already, or the name is taken' },
      422: { description: 'A mount cannot be a volume, several hosts have one, or the result is not valid' },
    },
  },
  async ({ c, principal, body }) => {
    if (principal.workloads !== null || principal.projects !== null) {
      throw new RefloatError('FORBIDDEN', 'you are limited to some workloads or projects', {
        hint: 'Someone without such a limit can adopt a container into your project.',
      });
    }
    const { container, hostId, only, ...request } = await body();
    return runOnce(c, async (db) => {
      const found = await containersOf(db, container, hostId, only);
      if (found instanceof RefloatError) return found;
      const config = adoptedConfig(found, request);
      const taken = await takenBy(db, config.hostId, config.adopted?.containers ?? []);
      if (taken !== undefined) return taken;
      const row = await insertWorkload(db, newId(), config);
      if (row === null) {
        return new RefloatError('NAME_TAKEN', `there is a workload "${config.name}" already`, {
          hint: 'Give this one another name.',
        });
      }
      return {
        status: 201,
        headers: { location: `/api/workloads/${row.id}`, etag: `"${row.version}"` },
        body: workloadAnswer(row, found),
        target: `workload:${row.id}`,
        details: { name: row.name, hostId: row.hostId, containers: config.adopted?.containers ?? [] },
      };
    });
  },
);

/** The container, and those of the same Compose service beside it. */
async function containersOf(
  db: Queryable,
  nameOrId: string,
  hostId: string | undefined,
  only: boolean,
): Promise<ContainerRow[] | RefloatError> {
  const [found, ...others] = await findReportedContainers(db, nameOrId, hostId);
  if (found === undefined) {
    await ringHosts(db, hostId);
    return new RefloatError('CONTAINER_NOT_FOUND', `no host has reported a container "${nameOrId}"`, {
      hint: 'Its host was asked to report anew: try again in a second. REFLOAT_INVENTORY=own keeps containers on the host.',
    });
  }
  if (others.length > 0) {
    return new RefloatError('VALIDATION_FAILED', `container: there is more than one "${nameOrId}"`, {
      hint: 'Name the host as well (hostId), or give more of the id.',
      details: {
        errors: [{ path: 'hostId', message: 'needed' }],
        hostIds: [found, ...others].map((row) => row.hostId),
      },
    });
  }
  const group = found.configuration?.group ?? null;
  if (only || group === null) return [found];
  const all = await listContainersOfHost(db, found.hostId);
  return all.filter(({ configuration }) => {
    const own = configuration?.group;
    return own?.project === group.project && own.service === group.service;
  });
}

async function takenBy(db: Queryable, hostId: string, names: readonly string[]): Promise<RefloatError | undefined> {
  for (const workload of await listWorkloads(db)) {
    const theirs = workload.config.adopted?.containers ?? [];
    const shared = workload.hostId === hostId ? names.find((name) => theirs.includes(name)) : undefined;
    if (shared === undefined) continue;
    return new RefloatError('CONTAINER_TAKEN', `the container "${shared}" is one of the workload "${workload.name}"`, {
      hint: 'Two workloads cannot have one container.',
      details: { workloadId: workload.id },
    });
  }
  return undefined;
}
