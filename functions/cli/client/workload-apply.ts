/** Creates or updates a workload from a file; the file says everything, what it leaves out takes its default. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { RefloatError } from '../../../db/errors.ts';
import type { Answer, Context } from './command.ts';
import { listHosts, listWorkloads } from './resolve.ts';
import { plain } from './text.ts';
import type { HostAnswer, WorkloadAnswer } from './wire.ts';

/** @param file path, or `-` for standard input */
export async function applyWorkload({ api }: Context, file: string, host: string | undefined): Promise<Answer> {
  const config = await readConfig(file);
  const name = config['name'];
  const existing =
    typeof name === 'string' ? (await listWorkloads(api)).find((workload) => workload.name === name) : undefined;
  if (config['hostId'] === undefined) {
    config['hostId'] =
      host === undefined && existing !== undefined ? existing.hostId : pickHost(await listHosts(api), host).id;
  }
  const workload =
    existing === undefined
      ? await api.post<WorkloadAnswer>('/api/workloads', config)
      : await api.put<WorkloadAnswer>(`/api/workloads/${existing.id}`, config);
  const created = existing === undefined;
  return {
    json: { workload, created },
    text: `workload ${plain(workload.name)} ${created ? 'created' : 'updated'} (version ${workload.version})\n  deploy it with: refloat deploy ${plain(workload.name)} --wait`,
  };
}

/** YAML is a superset of JSON, so that one parser reads both. */
async function readConfig(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch((cause: unknown) => {
    throw new RefloatError('USAGE', `${file} cannot be read`, {
      hint: 'Give the path of a JSON or YAML file, or - for standard input.',
      cause,
    });
  });
  let parsed: unknown;
  try {
    parsed = parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new RefloatError('USAGE', `${file} is neither JSON nor YAML: ${firstLine(cause)}`, {
      hint: 'Correct the file and try again.',
      cause,
    });
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new RefloatError('USAGE', `${file} does not hold one workload`, {
      hint: 'The file is one object with name, project, image, volumes and so on.',
    });
  }
  return { ...parsed };
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0] ?? '';
}

function pickHost(hosts: readonly HostAnswer[], wanted: string | undefined): HostAnswer {
  const usable = hosts.filter((host) => host.revokedAt === null || host.revokedAt === undefined);
  if (wanted !== undefined) {
    const found =
      usable.find((host) => host.name === wanted) ?? usable.find((host) => host.id === wanted.toLowerCase());
    if (found !== undefined) return found;
    throw new RefloatError('HOST_NOT_FOUND', `there is no host "${wanted}"`, {
      hint: 'See them with: refloat hosts ls',
    });
  }
  const [only, second] = usable;
  if (only !== undefined && second === undefined) return only;
  throw new RefloatError(
    'USAGE',
    only === undefined ? 'there is no host yet' : `there are ${usable.length} hosts, and the file names none`,
    {
      hint: only === undefined ? 'Enrol a host first.' : 'Give --host NAME, or hostId in the file.',
    },
  );
}
