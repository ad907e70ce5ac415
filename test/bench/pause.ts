/**
 * `npm run bench -- pause [--captures N] [--json]`: for how long a capture holds a container still, by what its volume holds, on a
 * file system with reflinks and on one without. It must not grow with the bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cleanup } from '../demo/cleanup.ts';
import { randomFile, smallFiles } from './downtime.ts';
import { type BenchStage, freePort, setBenchStage } from './downtime-stage.ts';
import { median } from './quantile.ts';

const SHAPES = [
  { name: '1 file', fill: (directory: string) => writeFile(join(directory, 'file'), 'x') },
  { name: '50,000 small files', fill: smallFiles },
  { name: '2 GiB', fill: (directory: string) => randomFile(join(directory, 'file'), 2048) },
] as const;

interface Row {
  readonly fileSystem: string;
  readonly shape: string;
  readonly pauseMs: number;
  /** From the claim to the verified snapshot, of which the pause is a part. */
  readonly captureMs: number;
}

export async function main(args: readonly string[]): Promise<void> {
  const captures = Number(args.includes('--captures') ? args[args.indexOf('--captures') + 1] : 5);
  if (!Number.isInteger(captures) || captures < 1) throw new Error('usage: pause [--captures N] [--json]');
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const rows: Row[] = [];
  for (const fileSystem of ['ext4', 'xfs'] as const) {
    const cleanup = new Cleanup();
    try {
      const stage = await setBenchStage(cleanup, say, fileSystem);
      for (const shape of SHAPES)
        rows.push({ fileSystem, shape: shape.name, ...(await measure(stage, shape, captures)) });
    } finally {
      for (const failed of await cleanup.run()) say(`left behind: ${failed}`);
    }
  }
  if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ ok: true, rows })}\n`);
  else
    for (const { fileSystem, shape, pauseMs, captureMs } of rows)
      process.stdout.write(
        `${fileSystem.padEnd(5)} ${shape.padEnd(20)} pause ${Math.round(pauseMs)} ms of ${Math.round(captureMs)} ms\n`,
      );
}

async function measure(
  { api, engine, hostId, image, root }: BenchStage,
  { name, fill }: (typeof SHAPES)[number],
  captures: number,
): Promise<Pick<Row, 'pauseMs' | 'captureMs'>> {
  const id = name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase();
  const source = join(root, id);
  await mkdir(source);
  await fill(source);
  const workload = await api.call<{ id: string }>('POST', '/api/workloads', {
    name: id,
    project: 'bench',
    hostId,
    image,
    network: 'host',
    env: { PORT: String(await freePort()) },
    volumes: [{ name: 'data', scope: 'absolute', source, target: '/data' }],
    capture: { freeze: 'pause' },
  });
  const path = `/api/workloads/${workload.id}`;
  const { result } = await api.intent(`${path}/deploy`);
  const pauses: number[] = [];
  const whole: number[] = [];
  for (let capture = 0; capture < captures; capture += 1) {
    const done = await api.intent(`${path}/snapshots`);
    pauses.push(done.result?.downtimeMs ?? Number.NaN);
    whole.push((done.result?.steps ?? []).reduce((sum, { ms }) => sum + ms, 0));
  }
  for (const container of (result?.containers ?? []) as string[]) {
    await engine.stop(container, 0);
    await engine.remove(container);
  }
  return { pauseMs: median(pauses), captureMs: median(whole) };
}
