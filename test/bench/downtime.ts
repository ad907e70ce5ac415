/**
 * `npm run bench -- downtime [--pairs N] [--shape NAME | --recovery] [--json]`: how long a workload is away while it is restored, and while the
 * restore is undone, beside a plain stop and start of the very same container, and beside the way without Refloat: stop, delete,
 * `tar -x`, start. All in one run, taken in turns, seen from outside. And how long recovery takes on little and on much data.
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Cleanup } from '../demo/cleanup.ts';
import { type BenchStage, freePort, setBenchStage } from './downtime-stage.ts';
import { outage, untilServed } from './probe.ts';
import { median, quantile } from './quantile.ts';
import { measureRecovery, recoveryText } from './recovery.ts';

const run = promisify(execFile);

/** One stop and start differs from the next by a tenth and more on a shared machine: the median of 15 pairs is right to 6 % only. */
const DEFAULT_PAIRS = 30;
/** For what an engine still does after a start. */
const SETTLE_MS = 500;

export interface Shape {
  readonly name: string;
  readonly volumes: number;
  fill(directory: string): Promise<void>;
}

const SHAPES: readonly Shape[] = [
  { name: '1 file', volumes: 1, fill: (directory) => writeFile(join(directory, 'file'), 'x') },
  { name: '50,000 small files', volumes: 1, fill: smallFiles },
  { name: '2 GiB', volumes: 1, fill: (directory) => randomFile(join(directory, 'file'), 2048) },
  { name: '5 volumes', volumes: 5, fill: (directory) => randomFile(join(directory, 'file'), 1) },
];

/** Downtimes in ms, in the order in which they were measured; all are compared with the mean of the two plain stops and starts. */
interface Pair {
  readonly plain: number;
  readonly restore: number;
  readonly plainBeforeUndo: number;
  readonly undo: number;
  readonly tar: number;
}

interface Row {
  readonly shape: string;
  readonly pairs: readonly Pair[];
}

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const pairs = Number(option('--pairs') ?? DEFAULT_PAIRS);
  const only = option('--shape');
  const shapes = SHAPES.filter(({ name }) => only === undefined || name.includes(only));
  if (!Number.isInteger(pairs) || pairs < 1 || shapes.length === 0)
    throw new Error('usage: downtime [--pairs N] [--shape NAME | --recovery] [--json]');
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const cleanup = new Cleanup();
  try {
    const stage = await setBenchStage(cleanup, say);
    const rows: Row[] = [];
    if (!args.includes('--recovery'))
      for (const shape of shapes) rows.push(await measure(stage, cleanup, shape, pairs, say));
    const recovery = only === undefined ? await measureRecovery(stage, cleanup, pairs, say) : [];
    process.stdout.write(
      args.includes('--json')
        ? `${JSON.stringify({ ok: true, rows, recovery })}\n`
        : `${rows.length === 0 ? '' : table(rows)}${recoveryText(recovery)}`,
    );
  } finally {
    for (const failed of await cleanup.run()) say(`left behind: ${failed}`);
  }
}

export interface Deployed {
  readonly name: string;
  readonly port: number;
  /** Of the API. */
  readonly path: string;
  readonly container: string;
  readonly snapshotId: string;
  readonly volumes: readonly { readonly source: string }[];
}

/** A workload on data of this shape, with a snapshot of it. */
export async function deployShape(
  { api, engine, root, hostId, image }: BenchStage,
  cleanup: Cleanup,
  shape: Shape,
  say: (line: string) => void,
): Promise<Deployed> {
  say(`${shape.name}: filling`);
  const name = `bench-${shape.name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}`;
  const port = await freePort();
  const volumes = Array.from({ length: shape.volumes }, (_, index) => ({
    name: `v${index}`,
    scope: 'absolute',
    source: join(root, name, `v${index}`),
    target: `/volumes/v${index}`,
  }));
  for (const { source } of volumes) {
    await mkdir(source, { recursive: true });
    await shape.fill(source);
  }
  const workload = await api.call<{ id: string }>('POST', '/api/workloads', {
    name,
    project: 'bench',
    hostId,
    image,
    network: 'host',
    env: { PORT: String(port) },
    volumes,
    health: { graceSeconds: 0.2, timeoutSeconds: 30 },
  });
  const path = `/api/workloads/${workload.id}`;
  const deployed = await api.intent(`${path}/deploy`);
  const [container] = (deployed.result?.containers ?? []) as string[];
  if (container === undefined) throw new Error('no container was deployed');
  cleanup.add(`container ${name}`, async () => {
    await engine.stop(container, 0);
    await engine.remove(container);
  });
  await untilServed(port);
  const snapshotId = String((await api.intent(`${path}/snapshots`)).result?.snapshotId);
  return { name, port, path, container, snapshotId, volumes };
}

async function measure(
  stage: BenchStage,
  cleanup: Cleanup,
  shape: Shape,
  pairs: number,
  say: (line: string) => void,
): Promise<Row> {
  const { api, engine } = stage;
  const { name, port, path, container, snapshotId, volumes } = await deployShape(stage, cleanup, shape, say);
  const archive = join(stage.scratch, `${name}.tar`);
  await run('tar', ['-cf', archive, '-C', join(stage.root, name), '.']);
  const confirm = { 'X-Confirm-Restore': name };
  const stopAndStart = async (): Promise<void> => {
    await engine.stop(container, 10);
    await engine.start(container);
  };
  const measured: Pair[] = [];
  for (let pair = 1; pair <= pairs; pair += 1) {
    const quiet = async (work: () => Promise<unknown>): Promise<number> => {
      // What the one before left to be written or to be tidied up is not to be paid for by the next one.
      await run('sync');
      await delay(SETTLE_MS);
      return outage(port, work);
    };
    const plain = await quiet(stopAndStart);
    let restored = '';
    const restore = await quiet(async () => {
      restored = (await api.intent(`${path}/snapshots/${snapshotId}/restore`, {}, confirm)).id;
    });
    const plainBeforeUndo = await quiet(stopAndStart);
    const undo = await quiet(() => api.intent(`/api/intents/${restored}/undo`, {}, confirm));
    const tar = await quiet(() => withoutRefloat(stage, container, volumes, join(stage.root, name), archive));
    const still = await engine.inspect(container);
    if (still?.state !== 'running') throw new Error('the container is not the same any more');
    await prune(stage, path);
    measured.push({ plain, restore, plainBeforeUndo, undo, tar });
    say(
      `${shape.name}: pair ${pair} of ${pairs}: plain ${ms(plain)}, restore ${ms(restore)}, plain ${ms(plainBeforeUndo)}, undo ${ms(undo)}, tar ${ms(tar)}`,
    );
  }
  await rm(archive);
  return { shape: shape.name, pairs: measured };
}

/** What people do today. The archive is not even compressed. */
async function withoutRefloat(
  stage: BenchStage,
  container: string,
  volumes: readonly { source: string }[],
  root: string,
  archive: string,
): Promise<void> {
  await stage.engine.stop(container, 10);
  for (const { source } of volumes) await run('sh', ['-c', 'rm -rf "$1"/* "$1"/.[!.]*', 'sh', source]);
  await run('tar', ['-xf', archive, '-C', root]);
  await stage.engine.start(container);
}

/** Snapshots of earlier pairs, as soon as they may go, so that the disk does not fill up. */
export async function prune({ api }: BenchStage, path: string): Promise<void> {
  const { snapshots } = await api.call<{
    snapshots: { id: string; kind: string; protectedUntil: string | null }[];
  }>('GET', `${path}/snapshots`);
  for (const { id, kind, protectedUntil } of snapshots) {
    if (kind !== 'pre-restore' || (protectedUntil !== null && Date.parse(protectedUntil) > Date.now())) continue;
    await api.untilOver(await api.call('DELETE', `${path}/snapshots/${id}`));
  }
}

function table(rows: readonly Row[]): string {
  const header = ['data', 'pairs', 'stop+start', 'restore', 'ratio', 'undo', 'ratio', 'stop, tar -x, start', 'ratio'];
  const lines = rows.map(({ shape, pairs }) => {
    const of = (pick: (pair: Pair) => number): number => median(pairs.map(pick));
    const plainOf = ({ plain, plainBeforeUndo }: Pair): number => (plain + plainBeforeUndo) / 2;
    const ratio = (pick: (pair: Pair) => number): string => {
      const ratios = pairs.map((pair) => pick(pair) / plainOf(pair));
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2));
      return `${middle} (${low} to ${high})`;
    };
    return [
      shape,
      String(pairs.length),
      ms(of(plainOf)),
      ms(of((pair) => pair.restore)),
      ratio((pair) => pair.restore),
      ms(of((pair) => pair.undo)),
      ratio((pair) => pair.undo),
      ms(of((pair) => pair.tar)),
      ratio((pair) => pair.tar),
    ];
  });
  const widths = header.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const text = [header, ...lines].map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return `Downtime seen from outside; medians; ratios are medians too, with their quartiles, each to the mean of the two plain ones of its pair.\n${text.join('\n')}\n`;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

export async function smallFiles(directory: string): Promise<void> {
  const content = randomFillSync(Buffer.alloc(1024));
  for (let folder = 0; folder < 500; folder += 1) {
    const path = join(directory, `folder-${folder}`);
    await mkdir(path, { recursive: true });
    await Promise.all(Array.from({ length: 100 }, (_, file) => writeFile(join(path, `file-${file}`), content)));
  }
}

export async function randomFile(path: string, mebibytes: number): Promise<void> {
  const block = Buffer.alloc(1024 ** 2);
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < mebibytes; written += 1) await file.write(randomFillSync(block));
  } finally {
    await file.close();
  }
}
