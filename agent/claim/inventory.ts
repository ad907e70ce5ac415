/**
 * Tells Postgres which containers this host has; for people, never an input of a restore.
 *
 * Guarantees: of containers that are no workload's nothing is told that the host's own configuration keeps (REFLOAT_INVENTORY): `own`
 * leaves them out, `all` leaves out the values of their environment, `env` tells those too.
 */
import type { ReportedConfiguration, ReportedMount } from '../../db/container-report.ts';
import { toRefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import type { ReportedContainer } from '../../db/queries/report-containers.ts';
import { WORKLOAD_LABEL } from '../deploy/labels.ts';
import { parseSetAside } from '../deploy/set-aside.ts';
import type { AgentDeps } from '../deps.ts';
import type { ContainerInfo, MountInfo } from '../docker/engine.ts';
import { resolveVolume } from '../fs/volume-path.ts';

export type InventoryDeps = Pick<AgentDeps, 'config' | 'engine'>;

const COMPOSE_PROJECT = 'com.docker.compose.project';
const COMPOSE_SERVICE = 'com.docker.compose.service';

export async function readInventory(deps: InventoryDeps): Promise<ReportedContainer[]> {
  const containers = await deps.engine.list();
  const told = deps.config.inventory === 'own' ? containers.filter(isOwn) : containers;
  return Promise.all(told.map((container) => report(deps, container)));
}

async function report(deps: InventoryDeps, container: ContainerInfo): Promise<ReportedContainer> {
  const workloadId = container.labels[WORKLOAD_LABEL];
  const { name: policy, maximumRetryCount } = container.restartPolicy;
  return {
    containerId: container.id,
    workloadId: workloadId !== undefined && isUuid(workloadId) ? workloadId : null,
    name: container.name,
    image: container.image,
    imageId: container.imageId,
    state: container.state,
    health: container.health === 'none' ? null : container.health,
    restartPolicy: policy === 'on-failure' && maximumRetryCount > 0 ? `${policy}:${maximumRetryCount}` : policy || 'no',
    startedAt: container.startedAt,
    configuration: isOwn(container) ? null : await configurationOf(deps, container),
  };
}

function isOwn({ labels, name }: ContainerInfo): boolean {
  return labels[WORKLOAD_LABEL] !== undefined || parseSetAside(name) !== null;
}

async function configurationOf(
  deps: InventoryDeps,
  { id, labels, mounts }: ContainerInfo,
): Promise<ReportedConfiguration | null> {
  const found = await deps.engine.configuration(id);
  if (found === null) return null;
  const { env, command, entrypoint, ports, omitted, ...rest } = found;
  const [project, service] = [labels[COMPOSE_PROJECT], labels[COMPOSE_SERVICE]];
  return {
    ...rest,
    command: command === null ? null : [...command],
    entrypoint: entrypoint === null ? null : [...entrypoint],
    ports: [...ports],
    omitted: [...omitted],
    envNames: Object.keys(env).sort(),
    env: deps.config.inventory === 'env' ? env : null,
    mounts: await Promise.all(onHost(mounts).map((mount) => mountOf(deps, mount))),
    group: project === undefined || service === undefined ? null : { project, service },
  };
}

/** In an order of their own: Docker gives them in any. */
function onHost(mounts: readonly MountInfo[]): MountInfo[] {
  const real = mounts.filter(({ type }) => type === 'bind' || type === 'volume');
  return real.sort((a, b) => (a.destination < b.destination ? -1 : 1));
}

/** With what this host would say if a restore were to write there. */
async function mountOf(deps: InventoryDeps, mount: MountInfo): Promise<ReportedMount> {
  const isNamed = mount.type === 'volume' && mount.name !== undefined;
  const reported = {
    target: mount.destination,
    scope: isNamed ? ('named' as const) : ('absolute' as const),
    source: isNamed ? (mount.name ?? '') : mount.source,
    readOnly: !mount.readWrite,
  };
  const volume = { ...reported, name: reported.source };
  const problem = await resolveVolume(deps, { project: '', stage: '' }, volume).then(
    () => null,
    (thrown: unknown) => {
      const { code, message, hint } = toRefloatError(thrown);
      return { code, message, hint };
    },
  );
  return { ...reported, problem };
}
