/**
 * From what a host reported of containers that something else created to the configuration of a workload.
 *
 * Guarantees: what the containers have and the configuration cannot say is named in `adopted.incomplete`, so that nothing is created
 * in their place before a person has looked; a mount that the host could not restore is refused at once, with the host's own reason.
 */
import { REPORTED_CONFIGURATION, type ReportedConfiguration, type ReportedMount } from '../db/container-report.ts';
import { type ErrorCode, RefloatError } from '../db/errors.ts';
import type { ContainerRow } from '../db/queries/list-containers.ts';
import { WORKLOAD_CONFIG, type WorkloadConfig, type WorkloadConfigInput } from '../db/workload.ts';

export interface AdoptRequest {
  readonly name?: string | undefined;
  readonly project?: string | undefined;
  readonly stage?: string | undefined;
  /** Paths inside the containers that become volumes; all mounts unless given. */
  readonly volumes?: readonly string[] | undefined;
  /** Their environment, where the host does not tell it. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/**
 * @param rows the containers of one service, on one host
 * @throws RefloatError `CONTAINER_NOT_FOUND` (the host has told nothing of it), `CONTAINER_TAKEN`, `VALIDATION_FAILED`, and what the host says of a mount
 */
export function adoptedConfig(rows: readonly ContainerRow[], request: AdoptRequest): WorkloadConfig {
  const [first] = rows;
  if (first === undefined) throw new Error('nothing to adopt');
  const [reported, ...others] = rows.map(reportOf);
  if (reported === undefined) throw new Error('nothing to adopt');
  const mounts = chosenMounts(first.name, reported, request.volumes);
  for (const other of others) requireSameMounts(first, mounts, other);
  const env = request.env ?? reported.env ?? {};
  const hasAllEnv = request.env !== undefined || reported.env !== null || reported.envNames.length === 0;
  const leftOut = reported.mounts.filter((mount) => !mounts.includes(mount));
  const config: WorkloadConfigInput = {
    name:
      request.name ??
      nameOf(reported.group === null ? first.name : `${reported.group.project}-${reported.group.service}`),
    project: request.project ?? nameOf(reported.group?.project ?? first.name),
    ...(request.stage === undefined ? {} : { stage: request.stage }),
    hostId: first.hostId,
    image: first.image,
    ...(reported.command === null || reported.command.length === 0 ? {} : { command: reported.command }),
    ...(reported.entrypoint === null || reported.entrypoint.length === 0 ? {} : { entrypoint: reported.entrypoint }),
    env,
    ports: reported.ports,
    network: reported.network,
    ...(reported.user === null || reported.user === '' ? {} : { user: reported.user }),
    restart: first.restartPolicy,
    stopTimeoutSeconds: Math.max(0, Math.min(reported.stopTimeoutSeconds, 3600)),
    replicas: rows.length,
    volumes: volumesOf(mounts),
    adopted: {
      containers: rows.map((row) => row.name),
      incomplete: [
        ...(hasAllEnv ? [] : [`environment (${reported.envNames.join(', ')})`]),
        ...leftOut.map(({ target }) => `mount ${target}`),
        ...reported.omitted,
      ].map((what) => what.slice(0, 4096)),
    },
  };
  const parsed = WORKLOAD_CONFIG.safeParse(config);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message }));
  throw new RefloatError('VALIDATION_FAILED', `${errors[0]?.path}: ${errors[0]?.message}`, {
    hint: 'Give what cannot be taken over as it is: name, project, or the volumes that you want.',
    details: { errors },
  });
}

function reportOf(row: ContainerRow): ReportedConfiguration {
  if (row.workloadId !== null) {
    throw new RefloatError('CONTAINER_TAKEN', `the container "${row.name}" is one of a workload already`, {
      hint: 'See it with: refloat workloads ls',
      details: { workloadId: row.workloadId },
    });
  }
  const parsed = REPORTED_CONFIGURATION.safeParse(row.configuration);
  if (parsed.success) return parsed.data;
  throw new RefloatError(
    'CONTAINER_NOT_FOUND',
    `the host has told nothing of the container "${row.name}" but its name`,
    {
      hint: 'Its image may be gone, or the agent is of another version. Describe the workload in a file: refloat workload apply FILE',
    },
  );
}

function chosenMounts(
  container: string,
  { mounts }: ReportedConfiguration,
  wanted: readonly string[] | undefined,
): ReportedMount[] {
  const unknown = wanted?.find((target) => !mounts.some((mount) => mount.target === target));
  if (unknown !== undefined) {
    throw new RefloatError('VALIDATION_FAILED', `volumes: the container "${container}" mounts nothing at ${unknown}`, {
      hint: `It mounts something at ${mounts.map(({ target }) => target).join(', ') || 'no place'}.`,
      details: { errors: [{ path: 'volumes', message: `nothing is mounted at ${unknown}` }] },
    });
  }
  const chosen = mounts.filter(({ target }) => wanted === undefined || wanted.includes(target));
  const bad = chosen.find(({ problem }) => problem !== null);
  if (bad === undefined || bad.problem === null) return chosen;
  const { code, message, hint } = bad.problem;
  const others = mounts.filter(({ problem }) => problem === null).map(({ target }) => target);
  const without =
    others.length === 0 ? '' : ` Or leave it out, by naming the volumes that you want: ${others.join(', ')}.`;
  throw new RefloatError(code as ErrorCode, `the mount at ${bad.target} cannot be a volume: ${message}`, {
    hint: `${hint}${without}`,
    details: { target: bad.target, source: bad.source },
  });
}

/** Replicas of one workload share its volumes. */
function requireSameMounts(first: ContainerRow, mounts: readonly ReportedMount[], other: ReportedConfiguration): void {
  const differing = mounts.find(
    (mount) =>
      !other.mounts.some(
        ({ target, source, scope }) => target === mount.target && source === mount.source && scope === mount.scope,
      ),
  );
  if (differing === undefined) return;
  throw new RefloatError(
    'VALIDATION_FAILED',
    `volumes: not all containers like "${first.name}" mount ${differing.source} at ${differing.target}`,
    {
      hint: 'Containers with data of their own are workloads of their own: adopt them with "only", each under a name.',
      details: { errors: [{ path: 'volumes', message: `differs at ${differing.target}` }] },
    },
  );
}

function volumesOf(mounts: readonly ReportedMount[]): NonNullable<WorkloadConfigInput['volumes']> {
  const names = new Set<string>();
  return mounts.map(({ target, scope, source, readOnly }) => {
    const wanted = nameOf(target.split('/').at(-1) ?? 'data');
    let name = wanted;
    for (let number = 2; names.has(name); number += 1) name = `${wanted.slice(0, 58)}-${number}`;
    names.add(name);
    return { name, scope, source, target, readOnly };
  });
}

/** What Docker calls something, as a name here. */
function nameOf(text: string): string {
  const clean = text.replace(/[^a-zA-Z0-9._-]+/g, '-').replace(/^[^a-zA-Z0-9]+/, '');
  return clean.slice(0, 63) || 'adopted';
}
