/** Workloads and their containers on the real engine, for tests of quiesce, redeploy and deploy. */
import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { planContainers } from '../../agent/deploy/plan-containers.ts';
import { recordContainers } from '../../agent/deploy/quiesce.ts';
import type { RedeployInput } from '../../agent/deploy/types.ts';
import { type WorkloadLock, WorkloadLocks } from '../../agent/deploy/workload-lock.ts';
import type { WorkloadRef } from '../../agent/intents/claimed-intent.ts';
import { newId } from '../../db/ids.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';
import type { TestEngine } from './engine.ts';

export interface TestWorkload {
  readonly workload: WorkloadRef;
  /** Live directory of the volume `data`. */
  readonly live: string;
  readonly hostPaths: Map<string, string>;
  readonly config: { allowedRoots: string[]; volumeBase: string };
}

/** A workload with one volume `data`, in a directory of its own. No container is made. */
export async function testWorkload(test: TestEngine, more: Partial<WorkloadConfigInput> = {}): Promise<TestWorkload> {
  const volumeBase = mkdtempSync(join(tmpdir(), 'rfw-'));
  after(() => rm(volumeBase, { recursive: true, force: true }));
  const id = test.newWorkloadId();
  const config = WORKLOAD_CONFIG.parse({
    name: `w-${id.slice(-12)}`,
    project: 'p',
    hostId: newId(),
    image: test.image,
    network: 'none',
    stopTimeoutSeconds: 5,
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data' }],
    health: { graceSeconds: 0.3, timeoutSeconds: 10 },
    ...more,
  });
  const live = join(volumeBase, 'p', 'data');
  await mkdir(live, { recursive: true });
  await writeFile(join(live, 'file'), 'old');
  return {
    workload: { id, version: 1, config },
    live,
    hostPaths: new Map([['data', live]]),
    config: { allowedRoots: [], volumeBase },
  };
}

/** Creates and starts the workload's containers, as a deploy would. @returns their ids */
export async function startContainers(test: TestEngine, { workload, hostPaths }: TestWorkload): Promise<string[]> {
  const imageId = await imageIdOf(test);
  const plan = planContainers({ workload, hostPaths, imageId, image: test.image, intentId: newId() });
  return Promise.all(
    plan.map(async (spec) => {
      const id = await test.engine.create(spec);
      await test.engine.start(id);
      return id;
    }),
  );
}

export async function imageIdOf(test: TestEngine): Promise<string> {
  const id = await test.engine.imageId(test.image);
  if (id === null) throw new Error('the test image is gone');
  return id;
}

/** Input of a redeploy whose containers are those of now. */
export async function redeployInput(test: TestEngine, { workload, hostPaths }: TestWorkload): Promise<RedeployInput> {
  return {
    workload,
    hostPaths,
    before: await recordContainers(test.engine, workload.id),
    imageId: await imageIdOf(test),
    intentId: newId(),
  };
}

const locks = new WorkloadLocks();

export async function locked<T>(workloadId: string, work: (lock: WorkloadLock) => Promise<T>): Promise<T> {
  return locks.withWorkloadLock(workloadId, work);
}

/** What a person would see of the workload's containers; equal texts are equal states. */
export async function picture(test: TestEngine): Promise<string[]> {
  const found = await test.mine();
  return found
    .map(
      (one) =>
        `${one.name} ${one.id.slice(0, 12)} ${one.state} ${one.restartPolicy.name}:${one.restartPolicy.maximumRetryCount}`,
    )
    .sort();
}
