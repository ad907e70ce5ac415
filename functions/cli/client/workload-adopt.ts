/** Makes a workload of containers that something else created. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { RefloatError } from '../../../db/errors.ts';
import type { Answer, Context } from './command.ts';
import { listHosts } from './resolve.ts';
import { plain } from './text.ts';
import type { WorkloadAnswer } from './wire.ts';

export interface AdoptOptions {
  readonly host?: string;
  readonly name?: string;
  readonly project?: string;
  readonly stage?: string;
  readonly volume?: readonly string[];
  readonly envFile?: string;
  readonly only?: boolean;
}

/** Pauses before each further try, in milliseconds: a container may be younger than its host's last report, which a miss asks for anew. */
const AGAIN_MS = [300, 700, 1000, 2000];

export async function adoptWorkload(
  { api, signal }: Context,
  container: string,
  options: AdoptOptions,
): Promise<Answer> {
  const { host, name, project, stage, volume, envFile, only } = options;
  const body = {
    container,
    ...(host === undefined ? {} : { hostId: await hostIdOf({ api }, host) }),
    ...(name === undefined ? {} : { name }),
    ...(project === undefined ? {} : { project }),
    ...(stage === undefined ? {} : { stage }),
    ...(volume === undefined ? {} : { volumes: volume }),
    ...(envFile === undefined ? {} : { env: await readEnv(envFile) }),
    ...(only === true ? { only } : {}),
  };
  for (const pause of [...AGAIN_MS, null]) {
    try {
      const workload = await api.post<WorkloadAnswer>('/api/workloads/adopt', body);
      return { json: { workload }, text: adoptedText(workload) };
    } catch (thrown) {
      if (pause === null || !(thrown instanceof RefloatError) || thrown.code !== 'CONTAINER_NOT_FOUND') throw thrown;
      await delay(pause, undefined, { signal });
    }
  }
  throw new Error('the last try has thrown');
}

function adoptedText({ name, config }: WorkloadAnswer): string {
  const { containers = [], incomplete = [] } = config.adopted ?? {};
  const lines = [
    `workload ${plain(name)} adopted: ${containers.map(plain).join(', ')}`,
    ...config.volumes.map(
      (volume) => `  volume ${plain(volume.name)}: ${plain(volume.source)} at ${plain(volume.target)}`,
    ),
    ...incomplete.map((what) => `  not taken over: ${plain(what)}`),
  ];
  if (incomplete.length > 0)
    lines.push(
      '  They are stopped and started as they are. Until this list is emptied, none is created in their place.',
    );
  return [...lines, `  capture it with: refloat capture ${plain(name)} --wait`].join('\n');
}

async function hostIdOf({ api }: Pick<Context, 'api'>, host: string): Promise<string> {
  const found = (await listHosts(api)).find(({ id, name }) => name === host || id === host.toLowerCase());
  if (found !== undefined) return found.id;
  throw new RefloatError('HOST_NOT_FOUND', `there is no host "${host}"`, { hint: 'See them with: refloat hosts ls' });
}

/** As Docker reads it: `NAME=value` a line, comments with `#`; a name alone is not taken from here. */
async function readEnv(file: string): Promise<Record<string, string>> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new RefloatError('USAGE', `${file} cannot be read`, {
      hint: 'Give the path of a file of NAME=value lines.',
      cause,
    });
  });
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      if (at > 0) return [line.slice(0, at).trim(), line.slice(at + 1)];
      throw new RefloatError('USAGE', `${file} has a line that is not NAME=value`, {
        hint: 'Correct it and try again.',
      });
    }),
  );
}
