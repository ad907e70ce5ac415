/**
 * The real Docker engine for tests. `npm test` starts or finds one for the whole run and gives it in REFLOAT_TEST_DOCKER_HOST; a
 * test file run by itself uses DOCKER_HOST or the default socket, or starts a private engine for its own process.
 *
 * Guarantees: what a test file leaves behind in the engine makes it fail, and is removed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import Docker from 'dockerode';
import { quiesce, record } from '../../agent/deploy/quiesce.ts';
import { parseSetAside } from '../../agent/deploy/set-aside.ts';
import { dockerOptions } from '../../agent/docker/docker-host.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { ContainerInfo, ContainerSpec, Engine } from '../../agent/docker/engine.ts';
import { type EngineHandle, ensureEngine, startPrivateEngine } from '../../agent/docker/private-engine.ts';
import { newId } from '../../db/ids.ts';
import { buildTestImage } from './image.ts';

export interface StartedEngine {
  readonly dockerHost: string;
  readonly engine: Engine;
  /** Ends it, if it was started here. */
  readonly stop: () => Promise<void>;
}

/** Finds or starts an engine; the caller stops it. @throws RefloatError `ENGINE_UNAVAILABLE` */
export async function startTestEngine(): Promise<StartedEngine> {
  const dockerHost = process.env['REFLOAT_TEST_DOCKER_HOST'] ?? process.env['DOCKER_HOST'];
  const directory = mkdtempSync(join(tmpdir(), 'rft-'));
  let handle: EngineHandle;
  try {
    handle = await ensureEngine({
      dockerHost,
      install: true,
      directory,
      say: (line) => void process.stderr.write(`${line}\n`),
    });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  if (!handle.isPrivate) rmSync(directory, { recursive: true, force: true });
  return {
    dockerHost: handle.dockerHost,
    engine: createEngine(handle.dockerHost),
    stop: async () => stopAndRemove(handle, directory),
  };
}

/** An engine of the test's own, for tests that restart or kill it. */
export async function startOwnEngine(): Promise<
  StartedEngine & { readonly directory: string; restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> }
> {
  const directory = mkdtempSync(join(tmpdir(), 'rft-'));
  let handle = await startPrivateEngine(directory);
  return {
    directory,
    dockerHost: handle.dockerHost,
    engine: createEngine(handle.dockerHost),
    stop: async () => stopAndRemove(handle, directory),
    async restart(signal) {
      await handle.stop(signal);
      handle = await startPrivateEngine(directory);
    },
  };
}

async function stopAndRemove(handle: EngineHandle, directory: string): Promise<void> {
  await handle.stop();
  if (handle.isPrivate) rmSync(directory, { recursive: true, force: true });
}

export interface TestEngine {
  readonly dockerHost: string;
  readonly engine: Engine;
  /** Reference of the standard test image; see `image.ts`. */
  readonly image: string;
  readonly runId: string;
  /** On every container that a test creates by itself. */
  readonly labels: Readonly<Record<string, string>>;
  /** A new workload id, whose containers must be gone when the file ends. */
  newWorkloadId(): string;
  /** The same for a workload whose id something else made. */
  ownWorkload(id: string): void;
  /** What a test creates by itself: labelled, without network and restart, sleeping. */
  create(spec: Partial<ContainerSpec> & { readonly name: string }): Promise<string>;
  /** The containers of this file's workloads run until it ends, and are removed then without being leaks. */
  removeAllAtEnd(): void;
  /** Stops and removes every container of this file that is there now. */
  removeAll(): Promise<void>;
  removeVolume(name: string): Promise<void>;
  /** Those that are there now, the ones that are set aside included. */
  mine(): Promise<ContainerInfo[]>;
}

let shared: Promise<TestEngine> | undefined;

/** One engine per test process. Call it at the top of a test file: it registers the check for what is left behind. */
export async function testEngine(): Promise<TestEngine> {
  shared ??= prepare();
  return shared;
}

async function prepare(): Promise<TestEngine> {
  const { dockerHost, engine, stop } = await startTestEngine();
  const runId = newId();
  const labels = { 'refloat.test': runId };
  const workloads = new Set<string>();
  const mine = async (): Promise<ContainerInfo[]> =>
    (await engine.list()).filter(
      (one) =>
        one.labels['refloat.test'] === runId ||
        workloads.has(one.labels['refloat.workload'] ?? '') ||
        workloads.has(parseSetAside(one.name)?.workloadId ?? ''),
    );
  const removeAll = async (): Promise<void> => {
    const found = await mine();
    await quiesce(engine, found.map(record), 0);
    for (const one of found) await engine.remove(one.id);
  };
  let expected = false;
  after(async () => {
    try {
      const left = await mine();
      await removeAll();
      if (left.length > 0 && !expected)
        throw new Error(`left behind: ${left.map(({ name, state }) => `${name} (${state})`).join(', ')}`);
    } finally {
      await stop();
    }
  });
  const image = await buildTestImage(dockerHost);
  return {
    dockerHost,
    engine,
    image,
    runId,
    labels,
    mine,
    removeAll,
    removeAllAtEnd: () => {
      expected = true;
    },
    ownWorkload: (id) => void workloads.add(id),
    newWorkloadId() {
      const id = newId();
      workloads.add(id);
      return id;
    },
    async removeVolume(name) {
      await new Docker(dockerOptions(dockerHost, process.env)).getVolume(name).remove();
    },
    async create(spec) {
      const defaults = {
        image,
        env: {},
        network: 'none',
        ports: [],
        mounts: [],
        restartPolicy: { name: 'no', maximumRetryCount: 0 },
        stopTimeoutSeconds: 5,
      } as const;
      return engine.create({ ...defaults, ...spec, labels: { ...labels, ...spec.labels } });
    },
  };
}
