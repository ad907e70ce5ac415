/** Everything that the demo needs around it: an engine, an image of PostgreSQL, the control plane, and an agent. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { dockerOptions } from '../../agent/docker/docker-host.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { Engine } from '../../agent/docker/engine.ts';
import { ensureEngine } from '../../agent/docker/private-engine.ts';
import { RefloatError } from '../../db/errors.ts';
import { postgresImage } from '../helpers/postgres-image.ts';
import { DemoApi } from './api.ts';
import { type Cleanup, firstJsonLine, runProgram, startProgram } from './cleanup.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const REFLOAT = path.join(ROOT, 'dist/refloat.js');
const AGENT = path.join(ROOT, 'dist/refloat-agent.js');

interface Ready {
  readonly url: string;
  readonly adminToken: string;
  readonly hostId: string;
  readonly enrollmentToken: string;
}

export interface Stage {
  readonly engine: Engine;
  readonly engineVersion: string;
  /** True when the demo started it. */
  readonly enginePrivate: boolean;
  readonly image: string;
  readonly api: DemoApi;
  readonly url: string;
  readonly hostId: string;
  /** The agent's state: journals, snapshots. */
  readonly stateDir: string;
  readonly volumeBase: string;
  /** Workloads whose containers are removed at the end. */
  readonly workloadIds: string[];
  /** The end of what the agent wrote to its log, for a failure's report. */
  readonly agentLog: () => string;
}

/** @param say one line about what takes long */
export async function setStage(cleanup: Cleanup, say: (line: string) => void): Promise<Stage> {
  for (const program of [REFLOAT, AGENT]) {
    if (!existsSync(program)) {
      throw new RefloatError('CONFIG_INVALID', `${program} is not built`, { hint: 'Run it as: npm run demo' });
    }
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'refloat-demo-'));
  cleanup.add(`directory ${directory}`, () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const handle = await ensureEngine({
    dockerHost: process.env['DOCKER_HOST'],
    install: true,
    directory: path.join(directory, 'engine'),
    say,
  });
  cleanup.add('engine', () => handle.stop());
  cleanup.signal.throwIfAborted();
  const engine = createEngine(handle.dockerHost);
  const workloadIds: string[] = [];
  // Registered before the agent, and so removed after it has ended: nothing is taken away under a restore.
  cleanup.add('containers', () => removeContainers(engine, workloadIds));
  const image = await importImage(handle.dockerHost, handle.isPrivate, cleanup);
  const env = {
    ...process.env,
    DOCKER_HOST: handle.dockerHost,
    REFLOAT_DATABASE_URL: '',
    REFLOAT_PUBLIC_URL: '',
    REFLOAT_SIGNING_KEYS: '',
  };
  const server = startProgram(
    'refloat up',
    [REFLOAT, 'up', '--no-agent', '--json', '--port', '0', '--state-dir', path.join(directory, 'server')],
    env,
  );
  cleanup.add('refloat up', () => server.stop());
  const ready = await firstJsonLine<Ready>('refloat up', server, cleanup.signal);

  const stateDir = path.join(directory, 'agent');
  const volumeBase = path.join(directory, 'volumes');
  const agentEnv = {
    ...env,
    REFLOAT_STATE_DIR: stateDir,
    REFLOAT_VOLUME_BASE: volumeBase,
    REFLOAT_AGENT_DATABASE_URL: '',
  };
  await runProgram(
    'refloat-agent enroll',
    [AGENT, 'enroll', '--api', ready.url, '--token', ready.enrollmentToken, '--json'],
    agentEnv,
  );
  const agent = startProgram('refloat-agent run', [AGENT, 'run', '--json'], agentEnv);
  cleanup.add('refloat-agent run', () => agent.stop());
  await firstJsonLine('refloat-agent run', agent, cleanup.signal);
  return {
    engine,
    engineVersion: (await engine.ping()).version,
    enginePrivate: handle.isPrivate,
    image,
    api: new DemoApi(ready.url, ready.adminToken, cleanup.signal),
    url: ready.url,
    hostId: ready.hostId,
    stateDir,
    volumeBase,
    workloadIds,
    agentLog: agent.errors,
  };
}

async function removeContainers(engine: Engine, workloadIds: readonly string[]): Promise<void> {
  for (const id of workloadIds) {
    for (const container of await engine.list({ label: `refloat.workload=${id}` })) {
      await engine.setRestartPolicy(container.id, { name: 'no', maximumRetryCount: 0 });
      await engine.stop(container.id, 10);
      await engine.remove(container.id);
    }
  }
}

/** In an engine that is not ours, an image that was not there before goes away again. */
async function importImage(dockerHost: string, isPrivate: boolean, cleanup: Cleanup): Promise<string> {
  const docker = new Docker(dockerOptions(dockerHost, process.env));
  const before = new Set((await docker.listImages()).map((image) => image.Id));
  const reference = await postgresImage(dockerHost);
  const { Id } = await docker.getImage(reference).inspect();
  if (!isPrivate && !before.has(Id)) cleanup.add(`image ${reference}`, () => docker.getImage(reference).remove());
  return reference;
}

/** A port that nothing uses at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
