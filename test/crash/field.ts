/**
 * One host for one slot: a workload with volumes, containers in the simulated daemon and snapshots of two quite different
 * versions. `reset` puts all of it back, so that every case begins alike.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { planContainers } from '../../agent/deploy/plan-containers.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { sha256Of } from '../../agent/snapshots/manifest.ts';
import { WORKLOAD_CONFIG, type WorkloadConfig, type WorkloadConfigInput } from '../../db/workload.ts';
import { fillVolume } from '../helpers/fill-volume.ts';
import { compareTrees, snapshotTree, type TreeSnapshot } from '../helpers/tree.ts';
import { WRITTEN, writeAsApplication } from './application.ts';
import { Daemon, type DaemonContainer } from './daemon.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import type { Told } from './work.ts';
import { writeInodesAnew } from './write-inodes-anew.ts';

export type Version = 'one' | 'two';

const IMAGE = 'application:1';
const IMAGE_ID = `sha256:${'a1'.repeat(32)}`;
const WORKLOAD_ID = '019a0000-0000-7000-8000-000000000001';
const HOST_ID = '019a0000-0000-7000-8000-0000000000aa';
const CAPTURES: Readonly<Record<Version, string>> = {
  one: '019a0000-0000-7000-8000-000000000011',
  two: '019a0000-0000-7000-8000-000000000012',
};
const UNDONE = '019a0000-0000-7000-8000-000000000020';
const INTENT = '019a0000-0000-7000-8000-000000000021';
const FILES: Readonly<Record<Version, number>> = { one: 10, two: 14 };

export interface FieldOptions {
  readonly scenario: Scenario;
  /** Slot's scratch. */
  readonly directory: string;
  /** Where the host's state and volumes lie, on a disk that may lose power; else they are below `directory`. */
  readonly hostRoot?: string;
  /** Does an intent without a fault, to prepare the host. */
  readonly perform: Perform;
  /** The bundled driver, for sweeps that start it. */
  readonly program?: string;
}

export type Perform = (environment: Readonly<Record<string, string>>, intent: ClaimedIntent) => Promise<Told>;

/** What an application found when it started. */
export interface Seen {
  readonly container: string;
  /** Null: something that is neither version, or not the same in all volumes. */
  readonly version: Version | null;
}

export class Field {
  readonly scenario: Scenario;
  readonly program: string;
  readonly hostRoot: string;
  readonly stateDir: string;
  readonly volumeBase: string;
  readonly live: readonly string[];
  readonly daemon: Daemon;
  readonly before: Version;
  readonly wanted: Version;
  readonly isMountPoint: boolean;
  /** Then a restore that goes well ends in the old version. */
  readonly endsOnNew: boolean;
  /** File with the intent of a case. */
  readonly intentFile: string;
  readonly intentId = INTENT;
  /** Intents whose journals are there from the beginning. */
  readonly earlier: readonly string[];
  seen: Seen[] = [];
  readonly #onDisk: boolean;
  readonly #golden: string;
  readonly #trees: Record<Version, TreeSnapshot[]> = { one: [], two: [] };
  readonly #perform: Perform;
  #containers: readonly DaemonContainer[] = [];
  /** Both versions are known, and captured. */
  #isPrepared = false;

  private constructor({ scenario, directory, hostRoot, perform, program = '' }: FieldOptions) {
    const { volumes, isUndo, isMountPoint, endsOnNew, writes } = SCENARIOS[scenario];
    this.scenario = scenario;
    this.program = program;
    this.#perform = perform;
    this.hostRoot = hostRoot ?? join(directory, `host-${scenario}`);
    this.#onDisk = hostRoot !== undefined;
    this.stateDir = join(this.hostRoot, 'state');
    this.volumeBase = join(this.hostRoot, 'srv');
    this.live = volumes.map((scope, index) =>
      join(this.volumeBase, 'p', ...(scope === 'stage' ? ['prod'] : []), `data-${index}`),
    );
    this.before = isUndo ? 'two' : 'one';
    this.wanted = isUndo ? 'one' : 'two';
    this.isMountPoint = isMountPoint === true;
    this.endsOnNew = endsOnNew === true;
    this.earlier = [CAPTURES.one, CAPTURES.two, ...(isUndo ? [UNDONE] : [])];
    this.intentFile = join(directory, `intent-${scenario}.json`);
    this.#golden = join(directory, `golden-${scenario}`);
    this.daemon = new Daemon({
      socket: join(directory, `docker-${scenario}.sock`),
      images: { [IMAGE]: IMAGE_ID, [IMAGE_ID]: IMAGE_ID },
      onStart: ({ name }) => {
        const version = this.versionOf(this.live, isMountPoint ? ROOT_TIME_MOVES : undefined);
        this.seen.push({ container: name, version });
        try {
          if (writes && this.#isPrepared && version === 'two') writeAsApplication(this.live[0] ?? '');
        } catch {
          // The disk is full, for the application, too: it ends.
          return false;
        }
        return !(endsOnNew && version === 'two');
      },
    });
  }

  static async open(options: FieldOptions): Promise<Field> {
    const field = new Field(options);
    await field.daemon.listen();
    await field.#prepare();
    return field;
  }

  get environment(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      REFLOAT_STATE_DIR: this.stateDir,
      REFLOAT_VOLUME_BASE: this.volumeBase,
      DOCKER_HOST: this.daemon.dockerHost,
      REFLOAT_LOG: 'silent',
      // A third of the time that the program takes to start.
      NODE_COMPILE_CACHE: join(dirname(this.program), 'cache'),
    };
  }

  /** The containers of before. */
  get containers(): readonly DaemonContainer[] {
    return this.#containers;
  }

  /** Everything as it was when the field was made, other inodes apart. */
  reset(): void {
    // What is mounted inside stays; it is emptied, and filled again.
    execFileSync('sh', [
      '-c',
      'rm -rf "$1/state" "$1/srv" 2>/dev/null; mkdir -p "$1" && cp -aT --sparse=always "$2" "$1"',
      'sh',
      this.hostRoot,
      this.#golden,
    ]);
    if (SCENARIOS[this.scenario].isUndo) writeInodesAnew(this.stateDir, UNDONE);
    // What the host held before is on the disk, as it is after a few seconds.
    if (this.#onDisk) execFileSync('sync', ['-f', this.hostRoot]);
    this.daemon.load(this.#containers);
    this.seen = [];
  }

  /** Which version all of these directories hold, down to owners and nanoseconds; null for anything else. */
  versionOf(directories: readonly string[], ignore: RegExp = /$^/): Version | null {
    for (const version of ['one', 'two'] as const)
      if (this.differences(version, directories).every((difference) => ignore.test(difference))) return version;
    return null;
  }

  /** Which version of one volume lies at a place. */
  versionAt(index: number, place: string): Version | null {
    for (const version of ['one', 'two'] as const) {
      const expected = this.#trees[version][index];
      try {
        if (expected !== undefined && compareTrees(expected, treeOf(place)).length === 0) return version;
      } catch {
        // There is nothing, or no directory.
      }
    }
    return null;
  }

  version(): Version | null {
    return this.versionOf(this.live);
  }

  differences(version: Version, directories: readonly string[] = this.live): string[] {
    return directories.flatMap((directory, index) => {
      const expected = this.#trees[version][index];
      if (expected === undefined) return [`${directory}: no such volume`];
      const isWritten = SCENARIOS[this.scenario].writes && version === 'two' && index === 0;
      try {
        return compareTrees(expected, treeOf(directory))
          .map((difference) => `${directory}: ${difference}`)
          .filter((difference) => !(isWritten && WRITTEN.test(difference)));
      } catch (error) {
        return [`${directory}: ${String(error)}`];
      }
    });
  }

  /** The agent's own directories beside the volumes, and in those that are mount points. */
  privateDirectories(): string[] {
    const places = new Set(this.live.flatMap((live) => [dirname(live), live]));
    return [...places].flatMap((place) =>
      readdirSync(place)
        .filter((name) => name.startsWith('.refloat-'))
        .map((name) => join(place, name)),
    );
  }

  async close(): Promise<void> {
    await this.daemon.close();
    this.unmountVolume();
  }

  /** The first volume where it is a mount point: a file system of its own, or, on a disk that loses power, one within that. */
  mountVolume(): void {
    if (!this.isMountPoint) return;
    const [live = ''] = this.live;
    execFileSync('mount', this.#onDisk ? ['--bind', live, live] : ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', live]);
  }

  unmountVolume(): void {
    if (this.isMountPoint) execFileSync('umount', ['-l', this.live[0] ?? '']);
  }

  async #prepare(): Promise<void> {
    for (const directory of [this.stateDir, ...this.live]) mkdirSync(directory, { recursive: true });
    this.mountVolume();
    await this.#deploy();
    const snapshots = { one: '', two: '' };
    // The one that a case begins with last.
    for (const version of ['two', 'one'] as const) {
      for (const directory of this.live) fillVolume(directory, version, FILES[version]);
      this.#trees[version] = this.live.map((directory) => snapshotTree(directory));
      const told = await this.#done({ ...this.#intent(CAPTURES[version], 'capture'), snapshot: null });
      snapshots[version] = String(told.intents[0]?.outcome.result?.snapshotId);
    }
    this.#isPrepared = true;
    const restore = (id: string) => ({ ...this.#intent(id, 'restore'), snapshot: this.#snapshotRef(snapshots.two) });
    if (SCENARIOS[this.scenario].isUndo) {
      await this.#done(restore(UNDONE));
      const undo: ClaimedIntent = {
        ...this.#intent(INTENT, 'undo'),
        undoOf: { intentId: UNDONE, preRestoreSnapshot: null },
      };
      writeFileSync(this.intentFile, JSON.stringify(undo));
    } else {
      writeFileSync(this.intentFile, JSON.stringify(restore(INTENT)));
    }
    this.#containers = this.daemon.save();
    execFileSync('cp', ['-aT', '--sparse=always', this.hostRoot, this.#golden]);
  }

  async #deploy(): Promise<void> {
    const engine = createEngine(this.daemon.dockerHost);
    const config = this.#config(this.scenario === 'recreate' ? { env: { OLD: '1' } } : {});
    const specs = planContainers({
      workload: { id: WORKLOAD_ID, version: 1, config },
      hostPaths: new Map(config.volumes.map((volume, index) => [volume.name, this.live[index] ?? ''])),
      imageId: IMAGE_ID,
      image: IMAGE,
      intentId: CAPTURES.one,
    });
    for (const [index, spec] of specs.entries()) {
      const id = await engine.create(spec);
      await engine.start(id);
      if (index === 1) await engine.pause(id);
      if (index === 2) await engine.stop(id, 1);
    }
  }

  #config(more: Partial<WorkloadConfigInput> = {}): WorkloadConfig {
    const { volumes, replicas, restart } = SCENARIOS[this.scenario];
    return WORKLOAD_CONFIG.parse({
      name: 'w',
      project: 'p',
      hostId: HOST_ID,
      image: IMAGE,
      network: 'none',
      replicas,
      restart,
      health: { graceSeconds: 0, timeoutSeconds: 5 },
      volumes: volumes.map((scope, index) => ({
        name: `v${index}`,
        scope,
        source: `data-${index}`,
        target: `/volumes/v${index}`,
      })),
      ...more,
    });
  }

  #intent(id: string, kind: ClaimedIntent['kind']): Omit<ClaimedIntent, 'snapshot'> & { snapshot: null } {
    return {
      id,
      kind,
      leaseEpoch: 1,
      workload: { id: WORKLOAD_ID, version: 1, config: this.#config() },
      snapshot: null,
      undoOf: null,
      params: {},
    };
  }

  #snapshotRef(id: string): NonNullable<ClaimedIntent['snapshot']> {
    const manifest = readFileSync(join(this.stateDir, 'snapshots', id, 'manifest.json'));
    return { id, workloadId: WORKLOAD_ID, kind: 'capture', manifestSha256: sha256Of(manifest) };
  }

  async #done(intent: ClaimedIntent): Promise<Told> {
    const told = await this.#perform(this.environment, intent);
    if (told.intents[0]?.outcome.state !== 'succeeded')
      throw new Error(`the preparation failed: ${JSON.stringify(told)}`);
    return told;
  }
}

/** Making the agent's directory inside a mount point moves the time of its root for a moment, under containers that run anyway. */
const ROOT_TIME_MOVES = /: \.: mtime /;

/** Without the agent's own directory, which lies inside a volume that is a mount point. */
function treeOf(directory: string): TreeSnapshot {
  const tree = new Map(snapshotTree(directory));
  for (const path of tree.keys()) if (path.startsWith('.refloat-')) tree.delete(path);
  return tree;
}
