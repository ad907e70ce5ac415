/**
 * `npm run bench -- archive [--data S,M,L] [--pairs 5] [--json]`: capture and restore beside tar with zstd, restic and borg.
 *
 * Prints times, ratios, CPU time (which a busy machine does not distort), where the time goes, peak memory and archive size. Every round runs each contender once, one after the other, on one ext4 file system of its own (a loop image with direct I/O), each ending
 * with its data synced; the ratios are medians of the rounds' ratios, so that a slow moment of the machine hits both sides. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countsOf } from '../../agent/archive/tree-counts.ts';
import type { Archiver, Expected } from '../../agent/archive/types.ts';
import { mountLoop } from '../helpers/loop-fs.ts';
import { createArchiver } from '../helpers/shipped-archiver.ts';
import { makeDataSet, type SetName } from './archive-data.ts';
import { median } from './quantile.ts';

const GIB = 1024 ** 3;
const REFERENCE = 'tar|zstd';
const TARGETS: Readonly<Record<string, number>> = {
  'restore S tar|zstd': 0.75,
  'restore M tar|zstd': 0.9,
  'restore L tar|zstd': 0.9,
  'restore S restic': 0.35,
  'restore M restic': 0.5,
  'restore L restic': 0.6,
  'capture S tar|zstd': 1,
  'capture M tar|zstd': 1,
  'capture L tar|zstd': 1,
  'capture S restic': 0.3,
  'capture M restic': 0.3,
  'capture L restic': 0.3,
};

interface Contender {
  readonly name: string;
  /** Untimed. */
  readonly before?: () => void;
  readonly run: () => Promise<void>;
  /** Untimed. */
  readonly after: () => void;
}

interface Row {
  readonly what: string;
  readonly set: SetName;
  readonly contender: string;
  readonly medianMs: number;
  /** User and system time of all its processes. */
  readonly cpuMs: number;
  /** Refloat's time over this contender's, median of the rounds. */
  readonly ratio: number;
  readonly target: number | null;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string', default: 'S,M,L' },
      pairs: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    },
  });
  const fs = mountLoop('ext4', 24 * GIB, { folder: existsSync('/var/tmp') ? '/var/tmp' : undefined, directIo: true });
  const archiver = createArchiver();
  const rows: Row[] = [];
  const phases: string[] = [];
  const memory: string[] = [];
  const sizes: string[] = [];
  try {
    for (const set of values.data.split(',') as SetName[]) {
      const root = join(fs.path, `data-${set}`);
      process.stderr.write(`making ${set} …\n`);
      makeDataSet(set, root);
      rows.push(...(await benchCapture(archiver, set, root, fs.path, Number(values.pairs), sizes, memory)));
      rows.push(...(await benchRestore(archiver, set, root, fs.path, Number(values.pairs), memory)));
      phases.push(...(await whereTheTimeGoes(archiver, set, root, fs.path)));
      rmSync(root, { recursive: true });
    }
  } finally {
    fs.unmount();
  }
  for (const line of [...table(rows), ...phases, ...sizes, ...memory]) process.stdout.write(`${line}\n`);
  if (values.json) process.stdout.write(`${JSON.stringify({ rows, phases, sizes, memory })}\n`);
}

const installed = (tool: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const sh = async (script: string, ...args: string[]): Promise<void> =>
  await new Promise((resolve, reject) => {
    const child = spawn('bash', ['--norc', '-o', 'pipefail', '-ec', script, 'bash', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        RESTIC_PASSWORD: 'bench',
        BORG_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
        BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
      },
    });
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${script}: exit code ${code}`))));
  });

const shNow = (script: string, ...args: string[]): void => {
  execFileSync('bash', ['--norc', '-o', 'pipefail', '-ec', script, 'bash', ...args], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, RESTIC_PASSWORD: 'bench', BORG_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' },
  });
};

async function benchCapture(
  archiver: Archiver,
  set: SetName,
  root: string,
  base: string,
  pairs: number,
  sizes: string[],
  memory: string[],
): Promise<Row[]> {
  const ours = join(base, 'ours.tar.zst');
  const theirs = join(base, 'theirs.tar.zst');
  const clear = (path: string) => (): void => rmSync(path, { recursive: true, force: true });
  const peak = watchMemory();
  const contenders: Contender[] = [
    {
      name: 'refloat',
      run: async () => {
        await archiver.pack({ root, archive: ours });
      },
      after: () => {
        sizes[sizes.length] = `size ${set}: ${statSync(ours).size} bytes`;
        clear(ours)();
      },
    },
    {
      name: REFERENCE,
      run: async () => await sh('tar -C "$1" -c . | zstd -3 -T0 -q -o "$2"; sync -f "$2"', root, theirs),
      after: () => {
        const own = Number(/: (\d+) bytes/.exec(sizes.pop() ?? '')?.[1]);
        if (!sizes.some((line) => line.includes(` ${set} `)))
          sizes.push(
            `archive size ${set} over tar | zstd -3: ${(own / statSync(theirs).size).toFixed(3)} (target 1.02)`,
          );
        clear(theirs)();
      },
    },
  ];
  if (installed('restic')) {
    const repo = join(base, 'restic');
    contenders.push({
      name: 'restic',
      before: () => shNow('restic -q init -r "$1"', repo),
      run: async () => await sh('restic -q -r "$1" --no-cache backup "$2"; sync -f "$1"', repo, root),
      after: clear(repo),
    });
  }
  if (installed('borg')) {
    const repo = join(base, 'borg');
    contenders.push({
      name: 'borg',
      before: () => shNow('borg init -e none "$1"', repo),
      run: async () => await sh('borg create -C zstd,3 "$1::a" "$2"; sync -f "$1"', repo, root),
      after: clear(repo),
    });
  }
  const rows = await rounds('capture', set, contenders, pairs);
  memory.push(`peak memory of agent and child, capture ${set}: ${peak.stop()} MiB (target 200)`);
  return rows;
}

async function benchRestore(
  archiver: Archiver,
  set: SetName,
  root: string,
  base: string,
  pairs: number,
  memory: string[],
): Promise<Row[]> {
  const archive = join(base, 'in.tar.zst');
  const out = join(base, 'out');
  const expected = await packedAs(archiver, root, archive);
  const clear = (): void => rmSync(out, { recursive: true, force: true });
  const make = (): void => void mkdirSync(out);
  const peak = watchMemory();
  const contenders: Contender[] = [
    {
      name: 'refloat',
      run: async () => {
        await archiver.extract({
          archive,
          destination: out,
          policy: 'faithful',
          expected,
        });
      },
      after: clear,
    },
    {
      name: REFERENCE,
      before: make,
      run: async () => await sh('zstd -dcq "$1" | tar -x -C "$2"; sync -f "$2"', archive, out),
      after: clear,
    },
  ];
  if (installed('restic')) {
    const repo = join(base, 'restic');
    shNow('restic -q init -r "$1"; restic -q -r "$1" --no-cache backup "$2"', repo, root);
    contenders.push({
      name: 'restic',
      before: make,
      run: async () => await sh('restic -q -r "$1" --no-cache restore latest --target "$2"; sync -f "$2"', repo, out),
      after: clear,
    });
  }
  if (installed('borg')) {
    const repo = join(base, 'borg');
    shNow('borg init -e none "$1"; borg create -C zstd,3 "$1::a" "$2"', repo, root);
    contenders.push({
      name: 'borg',
      before: make,
      run: async () => await sh('cd "$2"; borg extract "$1::a"; sync -f "$2"', repo, out),
      after: clear,
    });
  }
  const rows = await rounds('restore', set, contenders, pairs);
  memory.push(`peak memory of agent and child, restore ${set}: ${peak.stop()} MiB (target 200)`);
  for (const left of [archive, join(base, 'restic'), join(base, 'borg')])
    rmSync(left, { recursive: true, force: true });
  return rows;
}

async function rounds(what: string, set: SetName, contenders: readonly Contender[], pairs: number): Promise<Row[]> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const cpu = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= pairs; round += 1) {
    for (const { name, before, run, after } of contenders) {
      before?.();
      execFileSync('sync');
      const cpuBefore = childrenCpuMs();
      const ms = await timed(run);
      const cpuMs = childrenCpuMs() - cpuBefore;
      after();
      // The first round warms the page cache for all alike.
      if (round === 0) continue;
      times.get(name)?.push(ms);
      cpu.get(name)?.push(cpuMs);
    }
    process.stderr.write(
      `${what} ${set} round ${round}: ${[...times].map(([name, list]) => `${name} ${Math.round(list.at(-1) ?? 0)} ms`).join(', ')}\n`,
    );
  }
  const own = times.get('refloat') ?? [];
  return contenders.map(({ name }) => {
    const list = times.get(name) ?? [];
    return {
      what,
      set,
      contender: name,
      medianMs: Math.round(median(list)),
      cpuMs: Math.round(median(cpu.get(name) ?? [])),
      ratio: Number(median(list.map((ms, index) => (own[index] ?? 0) / ms)).toFixed(3)),
      target: TARGETS[`${what} ${set} ${name}`] ?? null,
    };
  });
}

function table(rows: readonly Row[]): string[] {
  const lines = rows.map(({ what, set, contender, medianMs, cpuMs, ratio, target }) => {
    const judged = target === null ? '' : `${ratio <= target ? 'met' : 'MISSED'}, target ${target}`;
    return `${what.padEnd(8)} ${set}  ${contender.padEnd(9)} ${String(medianMs).padStart(7)} ms   cpu ${String(cpuMs).padStart(7)} ms   refloat/this ${ratio.toFixed(2)}   ${judged}`;
  });
  return ['', ...lines, ''];
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint();
  await run();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** Of all processes that this one and its children have waited for (proc(5): cutime, cstime). */
function childrenCpuMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

async function packedAs(archiver: Archiver, root: string, archive: string): Promise<Expected> {
  const summary = await archiver.pack({ root, archive });
  return { sha256: summary.sha256, archiveBytes: summary.archiveBytes, counts: countsOf(summary) };
}

/** The verbs contain each other: starting a process, walking the tree, writing; and reading back, with and without writing files. */
async function whereTheTimeGoes(archiver: Archiver, set: SetName, root: string, base: string): Promise<string[]> {
  const [empty, archive, out] = ['empty', 'phases.tar.zst', 'phases'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(empty, { recursive: true });
  let expected: Expected = {};
  const start = await timed(async () => await archiver.measure(empty));
  const walk = await timed(async () => await archiver.measure(root));
  const pack = await timed(async () => {
    expected = await packedAs(archiver, root, archive);
  });
  const verify = await timed(async () => await archiver.verify({ archive, policy: 'faithful', expected }));
  execFileSync('sync');
  const extract = await timed(
    async () => await archiver.extract({ archive, destination: out, policy: 'faithful', expected }),
  );
  for (const left of [archive, out]) rmSync(left, { recursive: true, force: true });
  const ms = (value: number): string => `${Math.max(0, Math.round(value))} ms`;
  return [
    `where the time goes, capture ${set}: start ${ms(start)}, walk ${ms(walk - start)}, read, compress, hash and write ${ms(pack - walk)}`,
    `where the time goes, restore ${set}: start ${ms(start)}, read, hash, decompress and parse ${ms(verify - start)}, create files and sync beyond that ${ms(extract - verify)}`,
  ];
}

/** Highest high-water mark among Refloat's archive children, sampled until `stop`; the agent itself does nothing but wait. */
function watchMemory(): { stop(): number } {
  let peak = 0;
  const sample = (): void => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        if (Number(/^PPid:\t(\d+)/m.exec(status)?.[1]) !== process.pid || !/^Name:\t(node|MainThread)/m.test(status))
          continue;
        peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
      } catch {
        // It ended meanwhile.
      }
    }
  };
  const timer = setInterval(sample, 40);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      return Math.round(peak / 1024);
    },
  };
}
