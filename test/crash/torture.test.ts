/** A sample of every sweep; `npm run torture` runs them in full. What fails here is repeated with the command in its message. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSeed } from './random.ts';
import { README, reportIn, sectionOf, splitReadme } from './report.ts';
import { runSweep } from './runner.ts';
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

test("the README's counts are what the generator makes of a run", () => {
  const { section } = splitReadme(readFileSync(README, 'utf8'));
  const report = reportIn(section);
  if (report !== null) assert.equal(section, sectionOf(report));
  else assert.equal(section.trim(), 'Not run yet.');
});
