/**
 * `npm run torture [-- --sweep NAME[,NAME]] [--sample] [--seed S] [--case C] [--count N] [--share F] [--slots N] [--json FILE] [--verbose] [--write-readme]`
 *
 * Or `--reports FILE[,FILE]`: writes the README's summary from full runs of some sweeps each.
 *
 * Runs the sweeps of `sweeps.ts`, all of them in full unless told otherwise (`--share 0.1`: a tenth of each), and prints what they
 * tried and found; a JSON summary comes last. Exit code 1 when anything was violated. With a case (and its seed) it repeats that one alone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newSeed } from './random.ts';
import { mergeReports, type Report, writeReadme } from './report.ts';
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
const seed = values.seed ?? newSeed();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(`seed ${seed}`);
const began = new Date();
const sweeps: SweepSummary[] = [];
const programs = mkdtempSync(join(tmpdir(), 'refloat-programs-'));
process.once('exit', () => rmSync(programs, { recursive: true, force: true }));
for (const entry of chosen) {
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
  });
  sweeps.push(summary);
  const ended = Object.entries(summary.ended).map(([how, many]) => `${many} ${how}`);
  say(
    `${entry.name}: ${summary.count} tried, ${summary.violations} violations, ${summary.seconds} s${ended.length === 0 ? '' : ` (${ended.join(', ')})`}`,
  );
}
const report: Report = {
  seed,
  at: began.toISOString(),
  full: !values.sample && values.count === undefined && share === 1,
  sweeps,
};
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report)}\n`);
if (values['write-readme']) writeReadme(report);
say(JSON.stringify(report));
const tooFew = values.case === undefined ? sweeps.filter(({ count, wanted }) => count < wanted) : [];
for (const { name, count, wanted } of tooFew) say(`${name}: only ${count} of ${wanted} were tried`);
process.exitCode = sweeps.some(({ violations }) => violations > 0) || tooFew.length > 0 ? 1 : 0;
