/**
 * One restore on a host of memory: the product's saga, journal, recovery plan and executor over a simulated disk and engine. Only what
 * comes before the staging (preflight, check_disk) is not the product's, since it asks the real host. Bundled, with `sim-fs.ts` in the
 * place of `node:fs`; the sweep `model` drives it.
 */

import { createHash } from 'node:crypto';
import { pino } from 'pino';
import type { Archiver, ArchiveSummary, TreeCounts } from '../../agent/archive/types.ts';
import type { AgentConfig } from '../../agent/config.ts';
import { WorkloadLocks } from '../../agent/deploy/workload-lock.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import type { ContainerInfo } from '../../agent/docker/engine.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import type { RestoreFacts } from '../../agent/restore/facts.ts';
import { isUnfinished, readJournals, removeJournal } from '../../agent/restore/journal-dir.ts';
import type { JournalState } from '../../agent/restore/journal-state.ts';
import { recoverSaga } from '../../agent/restore/recover-saga.ts';
import { RESTORE } from '../../agent/restore/restore.ts';
import { runJournaled } from '../../agent/restore/run-journaled.ts';
import type { AnyStep, Saga } from '../../agent/restore/saga.ts';
import { removeLeftovers, snapshotStore } from '../../agent/snapshots/store.ts';
import type { Outcome } from '../../db/results.ts';
import { WORKLOAD_CONFIG } from '../../db/workload.ts';
import { SILENT_CONTROL } from '../helpers/silent-control.ts';
import { restoreTarget } from '../helpers/target.ts';
import { type ModelEngine, modelEngine } from './model-engine.ts';
import { arm } from './points.ts';
import { randomOf } from './random.ts';
import type { SimDisk, SimNode } from './sim-disk.ts';
import { closeAll, closeSync, fsyncSync, mkdirSync, newDisk, openSync, SIM, writeSync } from './sim-fs.ts';

/** What kind of host; every trace draws one. */
export interface ModelShape {
  readonly volumes: 1 | 2;
  /** The first volume is a mount point. */
  readonly mountPoint: boolean;
  readonly canExchange: boolean;
  /** The application ends on the new version. */
  readonly unhealthy: boolean;
}

export type ModelVersion = 'old' | 'new';

/** What ends the work, or fails in it, before the n-th change. */
export interface ModelFault {
  readonly n: number;
  readonly kind: 'kill' | 'error';
  /** How many changes fail. */
  readonly many: number;
}

const IMAGE_ID = `sha256:${'a1'.repeat(32)}`;
const WORKLOAD_ID = '019a0000-0000-7000-8000-000000000001';
const INTENT_ID = '019a0000-0000-7000-8000-000000000021';
const STATE = `${SIM}/state`;
const COUNTS: TreeCounts = {
  entries: 3,
  files: 2,
  directories: 1,
  symlinks: 0,
  hardLinks: 0,
  sparseFiles: 0,
  xattrs: 0,
  contentBytes: 6,
};
const log = pino({ level: 'silent' });
/** In one directory, and so with one private directory. */
const VOLUMES = ['v', 'v.aside'] as const;
const liveOf = (volume: string): string => `${SIM}/srv/${volume}`;

class Killed extends Error {
  readonly code = 'EIO';
}

export class ModelHost {
  readonly #shape: ModelShape;
  readonly #disk: SimDisk;
  readonly #engine: ModelEngine;
  readonly #deps: AgentDeps;
  readonly #saga: Saga<RestoreFacts>;
  readonly #intent: ClaimedIntent;
  readonly #before: readonly string[];
  readonly #violations: string[] = [];
  #now = Date.UTC(2026, 0, 1);

  constructor(shape: ModelShape) {
    this.#shape = shape;
    this.#disk = newDisk();
    this.#disk.canExchange = true;
    arm(0, () => undefined);
    for (const directory of [STATE, `${SIM}/srv`]) mkdirSync(directory);
    for (const live of this.#live()) writeTree(live, 'old');
    this.#disk.syncAll();
    this.#disk.canExchange = shape.canExchange;
    this.#engine = modelEngine([this.#container('w-1', true), this.#container('w-2', false)], () => this.#start());
    this.#before = this.#engine.describe();
    this.#intent = this.#makeIntent();
    this.#saga = { ...RESTORE, steps: [this.#preflight(), NO_CHECK, ...RESTORE.steps.slice(2)] };
    this.#deps = {
      config: { stateDir: STATE, undoWindowSeconds: 60 } as AgentConfig,
      engine: this.#engine.engine,
      archiver: this.#archiver(),
      locks: new WorkloadLocks(),
      now: () => {
        this.#now += 1;
        return new Date(this.#now);
      },
      log,
    };
  }

  /** Null when it was killed. */
  async work(fault: ModelFault | null): Promise<Outcome | null> {
    return this.#under(fault, () =>
      this.#deps.locks.withWorkloadLock(WORKLOAD_ID, (lock) =>
        runJournaled(this.#saga, { deps: this.#deps, lock, control: SILENT_CONTROL }, this.#intent),
      ),
    );
  }

  /** What `recover` and `recoverHost` do, with the saga of the model. */
  async recover(fault: ModelFault | null): Promise<Outcome | null> {
    return this.#under(fault, async () => {
      let outcome: Outcome | null = null;
      for (const { intentId, state, damage } of readJournals(STATE)) {
        if (damage !== null) throw damage;
        if (state === null) removeJournal(STATE, intentId);
        else if (isUnfinished(state))
          outcome = await this.#deps.locks.withWorkloadLock(WORKLOAD_ID, (lock) =>
            recoverSaga(this.#saga, { deps: this.#deps, lock, control: SILENT_CONTROL }, intentId),
          );
      }
      await removeLeftovers(snapshotStore(STATE));
      return outcome;
    });
  }

  /** The host loses power and starts again, the engine first. */
  losePower(seed: number): void {
    this.#disk.losePower(randomOf(String(seed)));
    this.#engine.restartHost();
  }

  /** The journal's word; null before the first record and while it is unfinished. */
  outcome(): Outcome | null {
    const { outcome } = this.#state() ?? { outcome: null };
    return outcome === null || outcome.state === 'stuck' ? null : outcome;
  }

  /** The version of all volumes; null for anything else. */
  version(): ModelVersion | null {
    const found = new Set(this.#live().map((live) => this.#versionAt(live)));
    const [version = null] = found;
    return found.size === 1 ? version : null;
  }

  /** After a recovery that came to its end. Empty when all is well. */
  judge(): string[] {
    const found = [...this.#violations];
    const [version, outcome] = [this.version(), this.outcome()];
    if (version === null) found.push('neither old nor new is live');
    if (this.#state() === null) {
      if (version === 'new') found.push('new is live, and no journal says so');
    } else if (outcome === null)
      found.push(`after recovery the journal says ${this.#state()?.outcome?.error?.message}`);
    else if ((outcome.state === 'succeeded') !== (version === 'new'))
      found.push(`the journal says ${outcome.state}, and ${version} is live`);
    if (outcome?.state === 'succeeded') found.push(...this.#judgePrevious(outcome));
    const now = this.#engine.describe();
    if (now.join() !== this.#before.join())
      found.push(`containers are [${now.join(', ')}], were [${this.#before.join(', ')}]`);
    if (outcome?.state !== 'succeeded') found.push(...this.#leftovers());
    return found;
  }

  #judgePrevious({ result }: Outcome): string[] {
    const held = result?.held ?? [];
    const isHeld =
      held.length === this.#shape.volumes && held.every(({ previous }) => this.#versionAt(previous) === 'old');
    const path = result?.preRestoreSnapshotPath;
    const isPreserved = path !== undefined && this.#node(`${path}/manifest.json`) !== null;
    return [
      ...(isHeld ? [] : ['the previous trees are not held as they were']),
      ...(isPreserved || (result?.warnings ?? []).length > 0 ? [] : ['no pre-restore snapshot, and no warning']),
    ];
  }

  #leftovers(): string[] {
    const found: string[] = [];
    for (const directory of [`${SIM}/srv`, ...this.#live()])
      for (const name of this.#node(directory)?.names.keys() ?? [])
        if (name.startsWith('.refloat-')) found.push(`left behind: ${directory}/${name}`);
    for (const name of this.#node(`${STATE}/snapshots`)?.names.keys() ?? [])
      found.push(`left behind: snapshots/${name}`);
    return found;
  }

  async #under(fault: ModelFault | null, work: () => Promise<Outcome | null>): Promise<Outcome | null> {
    let left = fault?.kind === 'kill' ? Number.POSITIVE_INFINITY : (fault?.many ?? 0);
    let isKilled = false;
    arm(
      fault?.n ?? 0,
      (call) => {
        left -= 1;
        if (left < 0) return;
        isKilled ||= fault?.kind === 'kill';
        throw new Killed(`EIO: ${call}`);
      },
      true,
    );
    try {
      const outcome = await work();
      return isKilled ? null : outcome;
    } catch (error) {
      if (fault === null) throw error;
      return null;
    } finally {
      arm(0, () => undefined);
      closeAll();
    }
  }

  #start(): boolean {
    const version = this.version();
    if (version === null) this.#violations.push('an application was started on something that is neither old nor new');
    return !(this.#shape.unhealthy && version === 'new');
  }

  #volumes(): readonly string[] {
    return VOLUMES.slice(0, this.#shape.volumes);
  }

  #live(): string[] {
    return this.#volumes().map(liveOf);
  }

  #node(path: string): SimNode | null {
    return this.#disk.find(path.slice(SIM.length).split('/').filter(Boolean));
  }

  #versionAt(path: string): ModelVersion | null {
    const node = this.#node(path);
    if (node === null || node.kind !== 'directory') return null;
    const names = [...node.names.keys()].filter((name) => !name.startsWith('.refloat-')).sort();
    for (const version of ['old', 'new'] as const) {
      const tree = treeOf(version);
      const isSame = names.join() === Object.keys(tree).sort().join() && node.mode === MODES[version];
      if (isSame && names.every((name) => node.names.get(name)?.bytes.toString() === tree[name])) return version;
    }
    return null;
  }

  #state(): JournalState | null {
    return readJournals(STATE).find(({ intentId }) => intentId === INTENT_ID)?.state ?? null;
  }

  #makeIntent(): ClaimedIntent {
    const volumes = this.#volumes().map((name) => ({
      name,
      scope: 'project' as const,
      source: name,
      target: `/volumes/${name}`,
    }));
    const config = WORKLOAD_CONFIG.parse({
      name: 'w',
      project: 'p',
      hostId: WORKLOAD_ID,
      image: 'application:1',
      health: { graceSeconds: 0, timeoutSeconds: 1 },
      volumes,
    });
    const rest = { snapshot: null, undoOf: null, params: {}, leaseEpoch: 1 };
    return { id: INTENT_ID, kind: 'restore', workload: { id: WORKLOAD_ID, version: 1, config }, ...rest };
  }

  #container(name: string, active: boolean): ContainerInfo {
    return {
      id: createHash('sha256').update(name).digest('hex'),
      name,
      imageId: IMAGE_ID,
      image: 'application:1',
      state: active ? 'running' : 'exited',
      active,
      health: 'none',
      restartCount: 0,
      restartPolicy: { name: active ? 'always' : 'no', maximumRetryCount: 0 },
      labels: { 'refloat.workload': WORKLOAD_ID },
      mounts: this.#volumes().map((name) => ({
        type: 'bind',
        source: liveOf(name),
        destination: `/volumes/${name}`,
        readWrite: true,
      })),
      createdAt: '2026-01-01T00:00:00Z',
      startedAt: '2026-01-01T00:00:00Z',
      exitCode: 0,
      error: '',
      autoRemove: false,
    };
  }

  #preflight(): AnyStep<RestoreFacts> {
    const archive = { path: '/nowhere', sha256: '', archiveBytes: 1, counts: COUNTS, policy: 'faithful' } as const;
    const targets = this.#volumes().map((volume, index) => {
      const mountPoint = index === 0 && this.#shape.mountPoint;
      return restoreTarget(liveOf(volume), { volume, mountPoint, privateName: `.refloat-${INTENT_ID}` }, { archive });
    });
    const hostPaths = Object.fromEntries(this.#volumes().map((name) => [name, liveOf(name)]));
    const fact = { targets, hostPaths, adoptedIds: [], imageId: IMAGE_ID, image: 'application:1', adoptedFrom: null };
    return { name: 'preflight', act: async () => fact };
  }

  #archiver(): Archiver {
    const never = (): never => {
      throw new Error('the model asks the archive for something else');
    };
    const sums = { owners: 0, modes: 0, times: 0, linkTargets: 0 };
    return {
      extract: async ({ destination }) => {
        writeTree(destination, 'new');
        // Durable, as the archive's own does with one call for the whole disk.
        this.#disk.syncAll();
        return SUMMARY;
      },
      pack: async ({ root, archive }) => {
        if (this.#versionAt(root) !== 'old') this.#violations.push(`preserved ${root}, which is not the old tree`);
        writeFile(archive, 'archive');
        return SUMMARY;
      },
      verify: async () => SUMMARY,
      measure: async () => ({ ...COUNTS, allocatedBytes: 0, sums }),
      copy: never,
      compare: never,
    };
  }
}

const SUMMARY: ArchiveSummary = {
  ...COUNTS,
  sha256: createHash('sha256').update('archive').digest('hex'),
  archiveBytes: 'archive'.length,
  hasRoot: true,
  skipped: [],
};
const NO_CHECK: AnyStep<RestoreFacts> = { name: 'check_disk', act: async () => ({ fileSystems: [] }) };
const MODES: Readonly<Record<ModelVersion, number>> = { old: 0o700, new: 0o750 };
/** One name in both, and one of its own. */
function treeOf(version: ModelVersion): Record<string, string> {
  return { which: version, [`only-${version}`]: 'x' };
}

function writeTree(directory: string, version: ModelVersion): void {
  mkdirSync(directory, { mode: MODES[version] });
  for (const [name, text] of Object.entries(treeOf(version))) writeFile(`${directory}/${name}`, text);
}

function writeFile(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600);
  writeSync(fd, Buffer.from(text));
  fsyncSync(fd);
  closeSync(fd);
}
