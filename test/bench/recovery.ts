/**
 * The part of the downtime bench about recovery: the agent is killed while the workload is down, right before and right behind the commit
 * point, and started again; measured from that start until the workload serves. On 10 MiB and on 2 GiB, in turns.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Cleanup } from '../demo/cleanup.ts';
import { type Deployed, deployShape, prune, randomFile } from './downtime.ts';
import type { BenchStage } from './downtime-stage.ts';
import { untilServed } from './probe.ts';
import { median } from './quantile.ts';

const SIZES = [10, 2048] as const;
const POINTS = { 'taken back': 'journal-after:done:quiesce#1', finished: 'journal-after:commit#1' } as const;

export interface RecoveryRow {
  readonly recovery: string;
  /** From the agent's start to service, in ms. */
  readonly pairs: readonly { readonly little: number; readonly much: number }[];
}

export async function measureRecovery(
  stage: BenchStage,
  cleanup: Cleanup,
  pairs: number,
  say: (line: string) => void,
): Promise<RecoveryRow[]> {
  const deployed: Deployed[] = [];
  for (const mebibytes of SIZES) {
    const fill = (directory: string) => randomFile(join(directory, 'file'), mebibytes);
    deployed.push(await deployShape(stage, cleanup, { name: `recovery ${mebibytes} MiB`, volumes: 1, fill }, say));
  }
  const rows: RecoveryRow[] = [];
  for (const [recovery, point] of Object.entries(POINTS)) {
    const measured: { little: number; much: number }[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const times: number[] = [];
      for (const workload of deployed) times.push(await recovered(stage, workload, point));
      const [little = 0, much = 0] = times;
      measured.push({ little, much });
      say(`recovery, ${recovery}: pair ${pair} of ${pairs}: ${Math.round(little)} ms, ${Math.round(much)} ms`);
    }
    rows.push({ recovery, pairs: measured });
  }
  return rows;
}

async function recovered(
  stage: BenchStage,
  { name, port, path, snapshotId }: Deployed,
  point: string,
): Promise<number> {
  const { api } = stage;
  const { child } = await stage.restartAgent({ REFLOAT_CRASH_AT: point });
  const killed = once(child, 'exit');
  const confirm = { 'X-Confirm-Restore': name };
  const over = api.untilOver(await api.call('POST', `${path}/snapshots/${snapshotId}/restore`, {}, confirm));
  await Promise.race([killed, over]);
  if (child.exitCode === null && child.signalCode === null)
    throw new Error(`the restore of ${name} ended as ${(await over).state} before ${point}`);
  const began = performance.now();
  const [ms] = await Promise.all([untilServed(port).then(() => performance.now() - began), stage.restartAgent()]);
  await over;
  await prune(stage, path);
  return ms;
}

export function recoveryText(rows: readonly RecoveryRow[]): string {
  return rows
    .map(({ recovery, pairs }) => {
      const little = Math.round(median(pairs.map((pair) => pair.little)));
      const much = Math.round(median(pairs.map((pair) => pair.much)));
      const ratio = median(pairs.map((pair) => pair.much / pair.little)).toFixed(2);
      return `Recovery, ${recovery}, from the agent's start to service: 10 MiB ${little} ms, 2 GiB ${much} ms, ratio ${ratio} (${pairs.length} pairs)\n`;
    })
    .join('');
}
