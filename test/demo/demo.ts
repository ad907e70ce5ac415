/**
 * Refloat's main job on a real database, and its proof: PostgreSQL in a container, its data captured, destroyed, restored,
 * and the restore undone and redone; each time every row is compared.
 *
 *   npm run demo            for people
 *   npm run demo -- --json  one JSON object last on standard output
 *
 * Exit code 0 only if every checksum is what it must be; 2 if something it needs is missing; 130 after Ctrl-C.
 */
import { randomBytes } from 'node:crypto';
import { RefloatError } from '../../db/errors.ts';
import type { IntentAnswer, WorkloadAnswer } from '../../functions/cli/client/wire.ts';
import { POSTGRES_DATA } from '../helpers/postgres-image.ts';
import { Cleanup, Interrupted } from './cleanup.ts';
import { type Outage, untilServed, watch } from './outside.ts';
import { type Check, makeReport, type Report, type Swap } from './report.ts';
import { type Contents, Shop } from './shop.ts';
import { freePort, type Stage, setStage } from './stage.ts';

const NAME = 'shop-db';
const EXIT_INTERRUPTED = 130;

async function demo(cleanup: Cleanup, report: Report): Promise<Record<string, unknown>> {
  report.title();
  const stage = await report.during('Setting the stage', (say) => setStage(cleanup, say));
  report.onFailure(stage.agentLog);
  report.stage(stage);
  const port = await freePort();
  const password = randomBytes(16).toString('hex');
  const shop = new Shop(port, password);
  const workload = await createWorkload(stage, port, password);

  const deployed = await report.during('Starting PostgreSQL', () =>
    stage.api.intent(`/api/workloads/${workload.id}/deploy`),
  );
  await untilServed(port, AbortSignal.any([cleanup.signal, AbortSignal.timeout(60_000)]));
  await report.during('Filling it', () => shop.fill());
  const good = await shop.contents();
  report.filled(good);

  const capture = await report.during('Capturing', () => stage.api.intent(`/api/workloads/${workload.id}/snapshots`));
  report.captured(capture);
  await shop.destroy();
  const destroyed = await shop.contents();
  if (destroyed.checksum === good.checksum) throw new Error('the accident changed nothing');
  report.destroyed(good, destroyed);

  const confirmed = { 'x-confirm-restore': NAME };
  const swaps = new Swaps(stage, workload.id, port, shop, report, cleanup.signal);
  const restore = await swaps.run(
    'restore',
    good,
    `/api/workloads/${workload.id}/snapshots/${capture.result?.snapshotId}/restore`,
    confirmed,
  );
  const undo = await swaps.run('undo', destroyed, `/api/intents/${restore.intentId}/undo`, confirmed);
  const redo = await swaps.run('redo', good, `/api/intents/${undo.intentId}/undo`, confirmed);

  const all = { restore, undo, redo };
  const ok = Object.values(all).every((swap) => swap.ok);
  report.end(ok);
  return {
    ok,
    seconds: Math.round(performance.now() / 100) / 10,
    checksums: {
      good: good.checksum,
      destroyed: destroyed.checksum,
      afterRestore: restore.checksum,
      afterUndo: undo.checksum,
      afterRedo: redo.checksum,
      equal: restore.equal && redo.equal && undo.equal,
    },
    downtimes: { restore: restore.downtime, undo: undo.downtime, redo: redo.downtime },
    rows: { good: good.rows, destroyed: destroyed.rows },
    imageId: restore.imageIds.after,
    imageUnchanged: Object.values(all).every((swap) => swap.imageIds.before === swap.imageIds.after),
    steps: { restore: restore.steps, undo: undo.steps, redo: redo.steps },
    snapshot: {
      id: capture.result?.snapshotId,
      path: capture.result?.snapshotPath,
      bytes: capture.result?.bytes,
      entries: capture.result?.entries,
    },
    preRestoreSnapshots: { restore: restore.preRestore, undo: undo.preRestore, redo: redo.preRestore },
    image: stage.image,
    deployedImageId: deployed.result?.imageId,
    engine: stage.engineVersion,
  };
}

async function createWorkload(stage: Stage, port: number, password: string): Promise<WorkloadAnswer> {
  const workload = await stage.api.call<WorkloadAnswer>('POST', '/api/workloads', {
    name: NAME,
    project: 'shop',
    hostId: stage.hostId,
    image: stage.image,
    env: { PORT: String(port), POSTGRES_PASSWORD: password },
    network: 'host',
    volumes: [{ name: 'data', scope: 'project', source: 'pgdata', target: POSTGRES_DATA }],
    stopTimeoutSeconds: 30,
    health: { graceSeconds: 1, timeoutSeconds: 60 },
  });
  stage.workloadIds.push(workload.id);
  return workload;
}

/** Restore, undo and redo: the same act, watched from outside and checked in the same way. */
class Swaps {
  readonly #stage: Stage;
  readonly #workloadId: string;
  readonly #port: number;
  readonly #shop: Shop;
  readonly #report: Report;
  readonly #signal: AbortSignal;

  constructor(stage: Stage, workloadId: string, port: number, shop: Shop, report: Report, signal: AbortSignal) {
    this.#stage = stage;
    this.#workloadId = workloadId;
    this.#port = port;
    this.#shop = shop;
    this.#report = report;
    this.#signal = signal;
  }

  async run(name: Check, wanted: Contents, path: string, headers: Record<string, string>): Promise<Swap> {
    const before = await this.#imageId();
    const outside = watch(this.#port, this.#signal);
    let intent: IntentAnswer;
    let outages: readonly Outage[];
    try {
      intent = await this.#report.during(this.#report.doing(name), () => this.#stage.api.intent(path, {}, headers));
    } finally {
      outages = await outside.stop();
    }
    const found = await this.#shop.contents();
    const { result } = intent;
    const imageIds = { before, after: await this.#imageId() };
    const equal = found.checksum === wanted.checksum;
    const swap: Swap = {
      intentId: intent.id,
      equal,
      // One stop and one start: anything else is not what was promised.
      ok: equal && imageIds.before === imageIds.after && outages.length === 1 && result?.imageId === imageIds.after,
      checksum: found.checksum,
      rows: found.rows,
      downtime: {
        outsideMs: round(outages.reduce((sum, outage) => sum + outage.ms, 0)),
        agentMs: result?.downtimeMs ?? null,
        outages: outages.length,
      },
      imageIds,
      steps: result?.steps ?? [],
      preRestore: { id: result?.preRestoreSnapshotId ?? null, path: result?.preRestoreSnapshotPath ?? null },
    };
    this.#report.swapped(name, swap, wanted);
    return swap;
  }

  async #imageId(): Promise<string> {
    const containers = await this.#stage.engine.list({ label: `refloat.workload=${this.#workloadId}` });
    const ids = [...new Set(containers.filter((container) => container.active).map((container) => container.imageId))];
    return ids.length === 1 && ids[0] !== undefined ? ids[0] : `${ids.length} images`;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function failure(error: unknown): { exitCode: number; json: Record<string, unknown>; text: string } {
  if (error instanceof RefloatError) {
    const exitCode = error.code === 'ENGINE_UNAVAILABLE' || error.code === 'CONFIG_INVALID' ? 2 : 1;
    return { exitCode, json: { ...error.toJSON() }, text: `${error.message}\n${error.hint}` };
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Interrupted ? 'INTERRUPTED' : 'INTERNAL';
  return {
    exitCode: error instanceof Interrupted ? EXIT_INTERRUPTED : 1,
    json: { code, message, hint: 'Run it again; if it fails again, please report it.' },
    text: message,
  };
}

const json = process.argv.includes('--json');
const cleanup = new Cleanup();
const report = makeReport(json ? process.stderr : process.stdout);
let last: Record<string, unknown>;
try {
  last = await demo(cleanup, report);
  process.exitCode = last['ok'] === true ? 0 : 1;
} catch (error) {
  // Ctrl-C ends every wait with one error or another.
  const failed = failure(cleanup.signal.aborted ? cleanup.signal.reason : error);
  if (failed.exitCode === EXIT_INTERRUPTED) report.onFailure(undefined);
  report.failed(failed.text);
  last = { ok: false, error: failed.json };
  process.exitCode = failed.exitCode;
}
const left = await cleanup.run();
if (left.length > 0) {
  report.failed(`left behind: ${left.join('; ')}`);
  last = { ...last, ok: false, leftBehind: left };
  process.exitCode = process.exitCode === 0 ? 1 : (process.exitCode ?? 1);
}
if (json) process.stdout.write(`${JSON.stringify(last)}\n`);
process.exit();
