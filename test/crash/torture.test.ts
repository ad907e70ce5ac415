/** A sample of every sweep; `npm run torture` runs them in full. What fails here is repeated with the command in its message. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSeed } from './random.ts';
import { README, reportIn, sectionOf, splitReadme } from './report.ts';
import { RunFile } from './run-file.ts';
import { runSweep, type SweepProgress } from './runner.ts';
import { SWEEPS } from './sweeps.ts';

const programs = mkdtempSync(join(tmpdir(), 'refloat-programs-'));
after(() => rmSync(programs, { recursive: true }));
const seed = process.env['REFLOAT_TORTURE_SEED'] ?? newSeed();

for (const entry of SWEEPS) {
  test(`${entry.name}: a sample of ${entry.sample}`, async (t) => {
    t.diagnostic(`npm run torture -- --sample --sweep ${entry.name} --seed ${seed}`);
    const say = (line: string): void => t.diagnostic(line);
    const summary = await runSweep(entry, { seed, count: entry.sample, slots: 1, programs, say });
    const told = summary.told.map(
      (violation) => `--sweep ${entry.name} --seed ${seed} --case ${JSON.stringify(violation.case)}: ${violation.what}`,
    );
    assert.equal(summary.violations, 0, told.join('\n'));
    assert.ok(summary.count >= entry.sample, `${summary.count} of ${entry.sample} were tried`);
  });
}

test('a run that was interrupted goes on where it was', async () => {
  const entry = SWEEPS.find(({ name }) => name === 'journal');
  assert.ok(entry);
  const run = async (goOn: SweepProgress | null) => {
    const cases: string[] = [];
    const after: SweepProgress[] = [];
    const summary = await runSweep(entry, {
      ...{ seed, count: 400, slots: 1, programs, goOn, isVerbose: true },
      say: (line) => cases.push(...(/^(.*): \S+, \d+ ms$/.exec(line)?.slice(1, 2) ?? [])),
      onProgress: (make) => after.push(make()),
    });
    return { cases, after, summary };
  };
  const whole = await run(null);
  const middle = whole.after[Math.floor(whole.after.length / 2)];
  assert.ok(middle !== undefined && middle.summary.count > 0 && middle.left.length > 0);
  const rest = await run(middle);
  assert.deepEqual(rest.cases, whole.cases.slice(whole.cases.length - rest.cases.length));
  assert.ok(rest.cases.length > 0 && rest.cases.length < whole.cases.length);
  assert.deepEqual({ ...rest.summary, seconds: 0 }, { ...whole.summary, seconds: 0 });
});

test('a file of a run is of one seed, one commit and one choice of sweeps', () => {
  const directory = mkdtempSync(join(tmpdir(), 'refloat-run-'));
  try {
    const path = join(directory, 'run.json');
    const what = { sweeps: ['space', 'journal'], share: 1 };
    const begun = RunFile.open(path, 'a1', what);
    begun.sweepDone({ name: 'space', count: 2, wanted: 2, violations: 0, told: [], ended: {}, seconds: 1 });
    begun.progress(() => assert.fail('written again within ten seconds'));
    const goesOn = RunFile.open(path, newSeed, what);
    assert.equal(goesOn.content.seed, 'a1');
    assert.equal(goesOn.content.interruptions, 1);
    assert.equal(goesOn.summaryOf('space')?.count, 2);
    assert.equal(goesOn.summaryOf('journal'), null);
    assert.throws(() => RunFile.open(path, 'b2', what), /is of another run: seed a1/);
    assert.throws(() => RunFile.open(path, 'a1', { ...what, share: 0.5 }), /is of another run/);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"commit":"\w{8}/, '"commit":"00000000'));
    assert.throws(() => RunFile.open(path, 'a1', what), /is of another run/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the README's counts are what the generator makes of a run", () => {
  const { section } = splitReadme(readFileSync(README, 'utf8'));
  const report = reportIn(section);
  if (report !== null) assert.equal(section, sectionOf(report));
  else assert.equal(section.trim(), 'Not run yet.');
});
