/**
 * `npm run fuzz -- header|pax|archive [--executions N] [--seed S] [--keep]`: coverage-guided fuzzing of the archive's parser.
 *
 * The corpus that an earlier run found is where it begins; `--keep` adds what this run found to it, smallest first, as long as it
 * reaches something new. What GNU tar lists of an accepted archive must be what we read. Exit code 1 and a file with the input when
 * something is wrong.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { createInstrumenter } from 'istanbul-lib-instrument';
import { readCorpus, writeCorpus } from './corpus.ts';
import { FuzzFailure, fuzz } from './fuzzer.ts';
import { askGnuTar, hasMoreThanTar, type Opinion } from './gnu-tar.ts';
import { SEEDS } from './seeds.ts';
import type { Seen, TARGETS } from './targets.ts';

type Name = keyof typeof TARGETS;
/** More than this after the first quarter of a run is a leak. */
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;
const MAX_MS = 2000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    executions: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
});
const name = positionals[0] as Name;
if (!(name in SEEDS)) {
  process.stderr.write('usage: npm run fuzz -- header|pax|archive [--executions N] [--seed S] [--keep]\n');
  process.exit(2);
}
const temporary = mkdtempSync(join(tmpdir(), 'refloat-fuzz-'));
try {
  process.exitCode = await run(name);
} finally {
  rmSync(temporary, { recursive: true });
}

async function run(name: Name): Promise<number> {
  const targets = await instrumented();
  const began = performance.now();
  const opinions: Record<Opinion, number> = { same: 0, refused: 0, different: 0 };
  const options = {
    target: targets.TARGETS[name],
    coverage: () => (globalThis as unknown as { __coverage__: never }).__coverage__,
    archive: name !== 'pax',
  };
  try {
    const report = await fuzz({
      ...options,
      seeds: [...SEEDS[name], ...readCorpus(name)],
      executions: Number(values.executions),
      seed: Number(values.seed),
      onProgress: (done, corpus, features) =>
        process.stderr.write(`${name}: ${done} executions, ${corpus} inputs reach ${features} features\n`),
      onAccepted: (input, seen) => {
        if (name !== 'archive' || hasMoreThanTar(input)) return;
        const opinion = askGnuTar(input, seen as readonly Seen[], temporary);
        opinions[opinion] += 1;
        if (opinion === 'different') fail(name, input, 'GNU tar lists other names');
      },
    });
    const { corpus, ...figures } = report;
    process.stdout.write(
      `${JSON.stringify({ target: name, seconds: seconds(began), corpus: corpus.length, gnuTar: opinions, ...figures })}\n`,
    );
    if (values.keep) await keep(name, corpus, options);
    if (figures.heapGrowthBytes > MAX_GROWTH_BYTES) process.stderr.write('memory grows\n');
    if (figures.slowestMs > MAX_MS) process.stderr.write('an execution hangs\n');
    return opinions.different > 0 || figures.heapGrowthBytes > MAX_GROWTH_BYTES || figures.slowestMs > MAX_MS ? 1 : 0;
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    fail(name, error.input, error.cause instanceof Error ? (error.cause.stack ?? error.message) : error.message);
    return 1;
  }
}

function fail(target: Name, input: Buffer, why: string): void {
  const path = join(tmpdir(), `refloat-fuzz-${target}-failure`);
  writeFileSync(path, input);
  process.stderr.write(`${why}\nThe input is in ${path}\n`);
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 100) / 10;
}

/** The targets and all they import, in one file, with counters. */
async function instrumented(): Promise<typeof import('./targets.ts')> {
  const bundle = await build({
    entryPoints: [join(import.meta.dirname, 'targets.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  const path = join(temporary, 'targets.mjs');
  const instrumenter = createInstrumenter({ esModules: true, compact: true, produceSourceMap: false });
  writeFileSync(path, instrumenter.instrumentSync(bundle.outputFiles[0]?.text ?? '', path));
  return (await import(pathToFileURL(path).href)) as typeof import('./targets.ts');
}

/** Writes the inputs that together reach everything, small ones first. */
async function keep(
  name: Name,
  corpus: readonly Buffer[],
  options: Pick<Parameters<typeof fuzz>[0], 'target' | 'coverage' | 'archive'>,
): Promise<void> {
  const smallestFirst = [...corpus].sort((a, b) => a.length - b.length || Buffer.compare(a, b));
  // As many executions as there are seeds: nothing is changed, only what reaches something new remains.
  const { corpus: needed } = await fuzz({
    ...options,
    seeds: smallestFirst.toReversed(),
    executions: smallestFirst.length,
    seed: 1,
  });
  process.stderr.write(`${needed.length} inputs kept, ${writeCorpus(name, needed)} bytes\n`);
}
