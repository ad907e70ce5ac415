/** Creates or updates a workload from a file; the file says everything, what it leaves out takes its default. */
import { RefloatError } from '../../../db/errors.ts';
import type { Answer, Context } from './command.ts';
import { readDocument } from './read-document.ts';
import { hostAmong, listHosts, listWorkloads } from './resolve.ts';
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

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const parsed = await readDocument(file);
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new RefloatError('USAGE', `${file} does not hold one workload`, {
      hint: 'The file is one object with name, project, image, volumes and so on.',
    });
  }
  return { ...parsed };
}

function pickHost(hosts: readonly HostAnswer[], wanted: string | undefined): HostAnswer {
  const usable = hosts.filter((host) => host.revokedAt === null || host.revokedAt === undefined);
  if (wanted !== undefined) return hostAmong(hosts, wanted);
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
