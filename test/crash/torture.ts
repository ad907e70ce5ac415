/**
 * `npm run torture [-- --sweep NAME[,NAME]] [--sample] [--seed S] [--case C] [--count N] [--share F] [--slots N] [--resume FILE] [--json FILE] [--verbose] [--write-readme]`
 *
 * Or `--reports FILE[,FILE]`: writes the README's summary from full runs of some sweeps each.
 *
 * Runs the sweeps of `sweeps.ts`, all of them in full unless told otherwise (`--share 0.1`: a tenth of each), and prints what they
 * tried and found; a JSON summary comes last. Exit code 1 when anything was violated. With a case (and its seed) it repeats that one alone.
 * With `--resume` it notes in a file how far it has come; started again after an interruption, it goes on from there.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newSeed } from './random.ts';
import { mergeReports, type Report, writeReadme } from './report.ts';
import { RunFile } from './run-file.ts';
import { runSweep, type SweepSummary } from './runner.ts';
import { SWEEPS } from './sweeps.ts';

const { values } = parseArgs({
  options: {
    sweep: { type: 'string' },
    sample: { type: 'boolean', default: false },
    seed: { type: 'string' },
    case: { type: 'string' },
    count: { type: 'string' },
    share: { type: 'string', default: '1' },
    slots: { type: 'string', default: '2' },
    resume: { type: 'string' },
    json: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    'write-readme': { type: 'boolean', default: false },
    reports: { type: 'string' },
  },
});
if (values.reports !== undefined) {
  const read = (file: string): Report => JSON.parse(readFileSync(file, 'utf8')) as Report;
  writeReadme(mergeReports(values.reports.split(',').map(read)));
  process.exit(0);
}
const names = values.sweep?.split(',') ?? SWEEPS.map(({ name }) => name);
const chosen = SWEEPS.filter(({ name }) => names.includes(name));
if (chosen.length !== names.length || (values.case !== undefined && chosen.length !== 1)) {
  process.stderr.write(`sweeps: ${SWEEPS.map(({ name }) => name).join(', ')}; a case needs --sweep\n`);
  process.exit(2);
}
const share = Number(values.share);
if (!(share > 0 && share <= 1)) {
  process.stderr.write('--share is a part of a full run: more than 0, at most 1\n');
  process.exit(2);
}
const isPart = values.case !== undefined || values.count !== undefined;
if (values.resume !== undefined && isPart) {
  process.stderr.write('--resume is of a run without --case and --count\n');
  process.exit(2);
}
const file = values.resume === undefined ? null : openRunFile(values.resume);
const seed = file?.content.seed ?? values.seed ?? newSeed();
// What is scratch goes with this process.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(`seed ${seed}`);
const at = file?.content.at ?? new Date().toISOString();
const sweeps: SweepSummary[] = [];
const programs = mkdtempSync(join(tmpdir(), 'refloat-programs-'));
process.once('exit', () => rmSync(programs, { recursive: true, force: true }));
for (const entry of chosen) {
  const earlier = file?.summaryOf(entry.name) ?? null;
  if (earlier !== null) {
    sweeps.push(earlier);
    sayHowItEnded(earlier);
    continue;
  }
  const usual = values.sample ? entry.sample : Math.ceil(entry.full * share);
  const count = values.count === undefined ? usual : Number(values.count);
  say(`${entry.name}: ${entry.what}`);
  const summary = await runSweep(entry, {
    seed,
    count,
    onlyCase: values.case,
    slots: Number(values.slots),
    programs,
    isVerbose: values.verbose,
    say,
    ...(file === null ? {} : { goOn: file.progressOf(entry.name), onProgress: (make) => file.progress(make) }),
  });
  file?.sweepDone(summary);
  sweeps.push(summary);
  sayHowItEnded(summary);
}
const report: Report = {
  seed,
  at,
  ...(file === null ? {} : { interruptions: file.content.interruptions }),
  full: !values.sample && values.count === undefined && share === 1,
  sweeps,
};
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report)}\n`);
if (values['write-readme']) writeReadme(report);
say(JSON.stringify(report));
const tooFew = values.case === undefined ? sweeps.filter(({ count, wanted }) => count < wanted) : [];
for (const { name, count, wanted } of tooFew) say(`${name}: only ${count} of ${wanted} were tried`);
process.exitCode = sweeps.some(({ violations }) => violations > 0) || tooFew.length > 0 ? 1 : 0;

function openRunFile(path: string): RunFile {
  try {
    return RunFile.open(path, values.seed ?? newSeed, { sweeps: names, share: values.sample ? 'sample' : share });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

function sayHowItEnded({ name, count, violations, seconds, ended }: SweepSummary): void {
  const how = Object.entries(ended).map(([state, many]) => `${many} ${state}`);
  say(
    `${name}: ${count} tried, ${violations} violations, ${seconds} s${how.length === 0 ? '' : ` (${how.join(', ')})`}`,
  );
}
