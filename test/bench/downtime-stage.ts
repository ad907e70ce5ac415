/** The whole product for the downtime bench: control plane and agent as processes, an engine, and data on a file system of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { Engine } from '../../agent/docker/engine.ts';
import { ensureEngine } from '../../agent/docker/private-engine.ts';
import { DemoApi } from '../demo/api.ts';
import { type Cleanup, firstJsonLine, type Program, runProgram, startProgram } from '../demo/cleanup.ts';
import { listenerImage } from '../helpers/image.ts';
import { mountLoop } from '../helpers/loop-fs.ts';

const DIST = join(import.meta.dirname, '../../dist');
/** Of the sparse image; snapshots lie elsewhere. */
const DATA_BYTES = 40 * 1024 ** 3;
/** Long enough for an undo right after a restore; short, so that what the pairs before held makes room. */
const UNDO_WINDOW_SECONDS = 30;
/** Longer than a downtime: each question takes the two cores a few milliseconds, which a plain stop and start does not pay. */
const POLL_MS = 500;

export interface BenchStage {
  readonly engine: Engine;
  readonly api: DemoApi;
  readonly hostId: string;
  readonly image: string;
  /** On the file system of its own; everything below it may be the source of a volume. */
  readonly root: string;
  /** Elsewhere, for archives of the other tool. */
  readonly scratch: string;
  /** Ends the agent, if it still runs, and starts it again. @param more environment of this one alone */
  restartAgent(more?: NodeJS.ProcessEnv): Promise<Program>;
}

export async function setBenchStage(
  cleanup: Cleanup,
  say: (line: string) => void,
  type: 'ext4' | 'xfs' = 'ext4',
): Promise<BenchStage> {
  const scratch = await mkdtemp(join(tmpdir(), 'rfb-'));
  cleanup.add('directory', () => rm(scratch, { recursive: true, force: true, maxRetries: 5 }));
  // Past the page cache below: else a durable write on the disk below waits for gigabytes that the volume's file system has synced long ago.
  const fileSystem = mountLoop(type, DATA_BYTES, { directIo: true });
  cleanup.add(type, () => fileSystem.unmount());
  const handle = await ensureEngine({
    dockerHost: process.env['DOCKER_HOST'],
    install: true,
    directory: join(scratch, 'engine'),
    say,
  });
  cleanup.add('engine', () => handle.stop());
  const engine = createEngine(handle.dockerHost);
  const image = await listenerImage(handle.dockerHost);

  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: scratch,
    REFLOAT_LOG: 'warn',
    DOCKER_HOST: handle.dockerHost,
  };
  const up = ['up', '--no-agent', '--json', '--port', '0', '--state-dir', join(scratch, 'control')];
  const server = startProgram('refloat up', [join(DIST, 'refloat.js'), ...up], env);
  cleanup.add('refloat up', () => server.stop());
  const ready = await firstJsonLine<{ url: string; adminToken: string; hostId: string; enrollmentToken: string }>(
    'refloat up',
    server,
    cleanup.signal,
  );

  const agentEnv = {
    ...env,
    REFLOAT_STATE_DIR: join(scratch, 'agent'),
    REFLOAT_ALLOWED_ROOTS: fileSystem.path,
    REFLOAT_UNDO_WINDOW_SECONDS: String(UNDO_WINDOW_SECONDS),
  };
  const agentProgram = join(DIST, 'refloat-agent.js');
  await runProgram(
    'refloat-agent enroll',
    [agentProgram, 'enroll', '--api', ready.url, '--token', ready.enrollmentToken, '--json'],
    agentEnv,
  );
  let agent: Program | undefined;
  cleanup.add('refloat-agent run', () => agent?.stop());
  const restartAgent = async (more: NodeJS.ProcessEnv = {}): Promise<Program> => {
    await agent?.stop();
    agent = startProgram('refloat-agent run', [agentProgram, 'run', '--json'], { ...agentEnv, ...more });
    await firstJsonLine('refloat-agent run', agent, cleanup.signal);
    return agent;
  };
  await restartAgent();
  return {
    engine,
    api: new DemoApi(ready.url, ready.adminToken, cleanup.signal, POLL_MS),
    hostId: ready.hostId,
    image,
    root: fileSystem.path,
    scratch,
    restartAgent,
  };
}

/** A port that nothing uses at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
