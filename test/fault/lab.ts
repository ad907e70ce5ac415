/**
 * One host in one process for sweeps that run whole intents: a real engine of its own, a workload with two containers and two
 * volumes, snapshots of three versions of their data, and the oracle that every case is judged by.
 *
 * Of the containers the first runs; the second is as a case wants it. Version `bad` holds a file that makes the application end.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runCapture } from '../../agent/capture/capture.ts';
import { Spool } from '../../agent/claim/spool.ts';
import { SpooledControl } from '../../agent/claim/spooled-control.ts';
import { compose } from '../../agent/compose.ts';
import { type AgentConfig, parseConfig } from '../../agent/config.ts';
import { planContainers } from '../../agent/deploy/plan-containers.ts';
import { quiesce, record } from '../../agent/deploy/quiesce.ts';
import { parseSetAside } from '../../agent/deploy/set-aside.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { ContainerInfo, Engine } from '../../agent/docker/engine.ts';
import { startPrivateEngine } from '../../agent/docker/private-engine.ts';
import type { ClaimedIntent, SnapshotRef, WorkloadRef } from '../../agent/intents/claimed-intent.ts';

import { heldTrees, isUnfinished, readJournals } from '../../agent/restore/journal-dir.ts';
import { releaseExpired } from '../../agent/restore/release.ts';
import { deleteSnapshot } from '../../agent/snapshots/delete-snapshot.ts';
import { listSnapshots, snapshotStore } from '../../agent/snapshots/store.ts';
import { newId } from '../../db/ids.ts';
import type { IntentKind } from '../../db/intent-state.ts';
import type { Outcome } from '../../db/results.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';
import { buildTestImage } from '../helpers/image.ts';
import { compareTrees, snapshotTree, type TreeSnapshot } from '../helpers/tree.ts';

const VERSIONS = ['one', 'two', 'bad'] as const;
export type Version = (typeof VERSIONS)[number];
export type Second = 'running' | 'paused' | 'stopped' | 'on-failure';

const VOLUMES = ['first', 'second'] as const;
const FILL = `set -e; cd "$1"; find . -mindepth 1 -delete
  mkdir -p "dir $2/deep"; for i in 1 2 3 4; do echo "$2 $i" > "dir $2/file-$i"; done; printf '%s' "$2" > which
  ln -s "/absolute/$2" link; ln which "hard-$2"; chown 1001:1002 which; chmod 4750 "dir $2/file-1"; [ "$2" != bad ] || : > refuse
  find . -exec touch -h -d @1400000000.5 {} +; chown 70:70 .; chmod 0700 .; touch -d @1500000000.25 .`;
const DAY_MS = 86_400_000;
const SETTLE_MS = 10_000;

export class Lab {
  readonly directory: string;
  readonly dockerHost: string;
  /** Straight to the engine, without faults. */
  readonly engine: Engine;
  readonly config: AgentConfig;
  readonly #handle: { stop(): Promise<void> };
  readonly #image: string;
  #workload: WorkloadRef;
  readonly #snapshots = new Map<Version, SnapshotRef>();
  readonly #trees = new Map<Version, readonly TreeSnapshot[]>();
  #second: Second = 'running';

  private constructor(directory: string, handle: { stop(): Promise<void> }, dockerHost: string, image: string) {
    this.directory = directory;
    this.#handle = handle;
    this.dockerHost = dockerHost;
    this.engine = createEngine(dockerHost);
    this.#image = image;
    const env = {
      REFLOAT_STATE_DIR: join(directory, 'state'),
      REFLOAT_VOLUME_BASE: join(directory, 'srv'),
      DOCKER_HOST: dockerHost,
      REFLOAT_LOG: process.env['REFLOAT_LAB_LOG'] ?? 'silent',
    };
    this.config = parseConfig(env, {});
    this.#workload = this.workloadWith({});
  }

  static async open(directory: string): Promise<Lab> {
    mkdirSync(directory, { recursive: true });
    const handle = await startPrivateEngine(join(directory, 'engine'));
    const lab = new Lab(directory, handle, handle.dockerHost, await buildTestImage(handle.dockerHost));
    await lab.rebuild();
    return lab;
  }

  async close(): Promise<void> {
    await this.#removeContainers();
    await this.#handle.stop();
  }

  get workload(): WorkloadRef {
    return this.#workload;
  }

  /** The workload with another configuration; the same id, so that it is the same workload. */
  workloadWith(more: Partial<WorkloadConfigInput>, version = 1): WorkloadRef {
    const config = WORKLOAD_CONFIG.parse({
      name: 'lab',
      project: 'p',
      hostId: newId(),
      image: this.#image,
      network: 'none',
      replicas: 2,
      restart: 'always',
      // It looks at that alone, so that it ends within the grace period on a loaded machine, too.
      env: { FAIL_IF: '/volumes/first/refuse', VOLUMES: '/nowhere' },
      stopTimeoutSeconds: 3,
      health: { graceSeconds: 0.3, timeoutSeconds: 20 },
      capture: { freeze: 'stop' },
      volumes: VOLUMES.map((name) => ({ name, scope: 'project', source: name, target: `/volumes/${name}` })),
      ...more,
    });
    return { id: LAB_WORKLOAD, version, config };
  }

  /** From now on this is the workload's configuration. */
  configure(workload: WorkloadRef): void {
    this.#workload = workload;
  }

  live(): string[] {
    return VOLUMES.map((name) => join(this.config.volumeBase, 'p', name));
  }

  snapshot(version: Version): SnapshotRef {
    return this.#snapshots.get(version) ?? fail(`no snapshot of ${version}`);
  }

  /** What an agent would have, through `engine`. */
  deps(engine: Engine = this.engine, more: Partial<AgentDeps> = {}): AgentDeps {
    return { ...compose(this.config), engine, ...more };
  }

  intent(kind: IntentKind, more: Partial<ClaimedIntent> = {}): ClaimedIntent {
    const rest = { workload: this.#workload, snapshot: null, undoOf: null, params: {}, leaseEpoch: 1 };
    return { id: newId(), kind, ...rest, ...more };
  }

  /** Runs `work` with a control that spools, as recovery's does. */
  async spooled<T>(intentId: string, deps: AgentDeps, work: (control: SpooledControl) => Promise<T>): Promise<T> {
    const spool = Spool.open(this.config.stateDir, intentId);
    try {
      return await work(new SpooledControl(spool, deps.now));
    } finally {
      spool.remove();
    }
  }

  /** Everything anew, after a case that left the host in disorder, and at first. */
  async rebuild(): Promise<void> {
    await this.#removeContainers();
    rmSync(this.config.stateDir, { recursive: true, force: true });
    rmSync(this.config.volumeBase, { recursive: true, force: true });
    for (const directory of [this.config.stateDir, ...this.live()]) mkdirSync(directory, { recursive: true });
    this.#workload = this.workloadWith({});
    for (const version of VERSIONS) {
      this.#fill(version);
      this.#trees.set(
        version,
        this.live().map((directory) => snapshotTree(directory)),
      );
      const intent = this.intent('capture');
      const deps = this.deps();
      const outcome = await deps.locks.withWorkloadLock(intent.workload.id, (lock) =>
        this.spooled(intent.id, deps, (control) => {
          const emit = control.emit.bind(control);
          control.emit = (type, data, quietly) => {
            if (type === 'snapshot') {
              const { id, workloadId, kind, manifestSha256 } = data as unknown as SnapshotRef;
              this.#snapshots.set(version, { id, workloadId, kind, manifestSha256 });
            }
            emit(type, data, quietly);
          };
          return runCapture(deps, lock, intent, control);
        }),
      );
      if (outcome.state !== 'succeeded') throw new Error(`the lab cannot capture: ${JSON.stringify(outcome.error)}`);
    }
    this.#fill('one');
    await this.#createContainers();
  }

  /** Containers as a case begins with them; what earlier cases hold is released, unless an undo needs it. */
  async begin(second: Second, keepHeld: boolean): Promise<void> {
    if (!keepHeld) await this.releaseHeld();
    if (second === this.#second) return;
    const [, other] = await this.containers();
    if (other === undefined) throw new Error('the second container is gone');
    if (other.state === 'paused') await this.engine.unpause(other.id);
    const policy = second === 'on-failure' ? ON_FAILURE : ALWAYS;
    await this.engine.setRestartPolicy(other.id, policy);
    if (second === 'stopped') await this.engine.stop(other.id, 3);
    else await this.engine.start(other.id);
    if (second === 'paused') await this.engine.pause(other.id);
    this.#second = second;
  }

  /** Ends the undo windows, as housekeeping would a day later, and removes what nobody needs any more. */
  async releaseHeld(): Promise<void> {
    const deps = this.deps(this.engine, { now: () => new Date(Date.now() + 2 * DAY_MS) });
    await releaseExpired(deps);
    const store = snapshotStore(this.config.stateDir);
    const wanted = new Set([...this.#snapshots.values()].map(({ id }) => id));
    for (const id of listSnapshots(store)) if (!wanted.has(id)) await deleteSnapshot(store, id);
    for (const name of ['journal', 'spool']) rmSync(join(this.config.stateDir, name), { recursive: true, force: true });
  }

  /** Which version both volumes hold, to the last detail; null for anything else. */
  version(directories: readonly string[] = this.live()): Version | null {
    const now = directories.map((directory) => (existsSync(directory) ? snapshotTree(directory) : new Map()));
    const same = (version: Version): boolean =>
      (this.#trees.get(version) ?? []).every((tree, index) => compareTrees(tree, now[index] ?? new Map()).length === 0);
    return VERSIONS.find(same) ?? null;
  }

  async containers(): Promise<ContainerInfo[]> {
    const found = await this.engine.list({ label: `refloat.workload=${LAB_WORKLOAD}` });
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The oracle. `wanted` is what should be live if the outcome is a success, `before` if it is anything else. */
  async judge(kind: IntentKind, before: Version, wanted: Version, outcome: Outcome): Promise<string[]> {
    const found: string[] = [];
    const succeeded = outcome.state === 'succeeded';
    // A deploy brings up what the configuration asks for, also what somebody had stopped.
    if (kind === 'deploy' && succeeded) this.#second = 'running';
    const version = this.version();
    const said = `${outcome.state} ${outcome.error?.code ?? ''} ${outcome.error?.message ?? ''}`.trim();
    if (version !== (succeeded ? wanted : before))
      found.push(`told "${said}", and ${version ?? 'neither old nor new'} is live; before ${before}, wanted ${wanted}`);
    // Docker starts a container again a moment after it ended.
    let containers = await this.#judgeContainers(outcome, said);
    for (const until = performance.now() + SETTLE_MS; containers.length > 0 && performance.now() < until; ) {
      await delay(100);
      containers = await this.#judgeContainers(outcome, said);
    }
    found.push(...containers);
    // Made anew, it has the configuration's restart policy, also for the next case.
    if (succeeded && outcome.result?.['recreated'] === true && this.#second === 'on-failure') this.#second = 'running';
    if (succeeded && wanted !== before) found.push(...this.#judgePrevious(before, outcome));
    found.push(...(await this.#leftBehind()));
    return found;
  }

  async #judgeContainers(outcome: Outcome, said: string): Promise<string[]> {
    const found: string[] = [];
    const imageId = await this.engine.imageId(this.#image);
    const now = await this.containers();
    const names = now.map(({ name }) => name).join(' ');
    if (names !== 'lab-1 lab-2') found.push(`told "${said}", and the containers are ${names}`);
    now.forEach((container, index) => {
      const second = index === 0 ? 'running' : this.#second;
      const { recreated: isNew, changed } = outcome.result ?? {};
      const recreated = isNew === true || changed === true;
      const state = second === 'on-failure' ? 'running' : second;
      const is = container.state === 'exited' || container.state === 'created' ? 'stopped' : container.state;
      const policy = second === 'on-failure' && !recreated ? ON_FAILURE : ALWAYS;
      const has = container.restartPolicy;
      if (is !== state) found.push(`told "${said}", and ${container.name} is ${container.state} instead of ${state}`);
      if (has.name !== policy.name || has.maximumRetryCount !== policy.maximumRetryCount)
        found.push(`told "${said}", and ${container.name} has restart policy ${has.name} instead of ${policy.name}`);
      if (container.imageId !== imageId) found.push(`${container.name} runs another image`);
    });
    return found;
  }

  #judgePrevious(before: Version, { result }: Outcome): string[] {
    const held = result?.held ?? [];
    const trees = VOLUMES.map((name) => held.find(({ volume }) => volume === name)?.previous ?? '/nowhere');
    const isHeld = this.version(trees) === before;
    const id = result?.preRestoreSnapshotId;
    const isKept = id !== undefined && existsSync(snapshotStore(this.config.stateDir).directoryOf(id));
    if (!isHeld) return [`the previous trees are not held as they were: ${trees.join(' ')}`];
    // Without an engine there may be no snapshot of them; then it is named, and they stay.
    return isKept || (result?.warnings ?? []).length > 0 ? [] : ['there is no pre-restore snapshot, and no warning'];
  }

  async #leftBehind(): Promise<string[]> {
    const found: string[] = [];
    const journals = readJournals(this.config.stateDir);
    const held = journals
      .flatMap(({ state }) => (state === null ? [] : heldTrees(state)))
      .map(({ previous }) => previous);
    const parent = join(this.config.volumeBase, 'p');
    for (const name of readdirSync(parent)) {
      if (VOLUMES.some((volume) => volume === name)) continue;
      const inside = name.startsWith('.refloat-') ? readdirSync(join(parent, name)) : [];
      if (inside.length === 0 || inside.some((volume) => !held.includes(join(parent, name, volume))))
        found.push(`left behind: ${name} (${inside.join(' ')})`);
    }
    for (const { intentId, state, damage } of journals)
      if (damage !== null || (state !== null && isUnfinished(state)))
        found.push(`unfinished: the journal of ${intentId}`);
    const asides = (await this.engine.list()).filter(({ name }) => parseSetAside(name) !== null);
    for (const { name } of asides) found.push(`left behind: the container ${name}`);
    const store = join(this.config.stateDir, 'snapshots');
    for (const name of readdirSync(store)) if (name.startsWith('.')) found.push(`left behind: the snapshot ${name}`);
    return found;
  }

  #fill(version: Version): void {
    for (const directory of this.live()) execFileSync('bash', ['-c', FILL, 'bash', directory, version]);
  }

  async #createContainers(): Promise<void> {
    const imageId = (await this.engine.imageId(this.#image)) ?? fail('the image is gone');
    const hostPaths = new Map(VOLUMES.map((name, index) => [name, this.live()[index] ?? '']));
    const input = { workload: this.#workload, hostPaths, imageId, image: this.#image, intentId: newId() };
    for (const spec of planContainers(input)) await this.engine.start(await this.engine.create(spec));
    this.#second = 'running';
  }

  async #removeContainers(): Promise<void> {
    const all = await this.engine.list();
    await quiesce(this.engine, all.map(record), 0);
    for (const { id } of all) await this.engine.remove(id);
  }
}

const LAB_WORKLOAD = newId();
const ALWAYS = { name: 'always', maximumRetryCount: 0 } as const;
const ON_FAILURE = { name: 'on-failure', maximumRetryCount: 3 } as const;

function fail(message: string): never {
  throw new Error(message);
}
