/** What was put back is checked on the disk, by figures that each kind of damage changes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { countsOf } from '../../../agent/archive/tree-counts.ts';
import type { ArchiveSummary, TreeCounts } from '../../../agent/archive/types.ts';
import { checkFidelity } from '../../../agent/restore/fidelity.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-fidelity-'));
after(() => rmSync(base, { recursive: true, force: true }));

const FILL = `set -e; cd "$1"; mkdir -p dir/deep; echo content > file; ln file hard; ln -s target link; echo x > dir/deep/x; chown 3:4 dir; chmod 4711 file
  setfattr -n user.a -v b file; truncate -s 1M sparse; echo end >> sparse; touch -h -d @-5.25 link; touch -d @1500000000.123456789 file dir`;

const archive = join(base, 'archive.tar.zst');
let expected: TreeCounts;
before(async () => {
  const source = join(base, 'source');
  mkdirSync(source);
  execFileSync('bash', ['--norc', '-c', FILL, 'bash', source]);
  expected = countsOf(await archiver.pack({ root: source, archive }));
});

let made = 0;
async function restored(): Promise<{ staging: string; extracted: ArchiveSummary }> {
  const staging = join(base, `staging-${++made}`);
  return { staging, extracted: await archiver.extract({ archive, destination: staging, policy: 'faithful' }) };
}

async function check(change: string) {
  const { staging, extracted } = await restored();
  execFileSync('bash', ['--norc', '-c', `cd "$1"; ${change}`, 'bash', staging]);
  const warnings: string[] = [];
  const result = await checkFidelity(archiver, { volume: 'v', staging }, expected, extracted, (text) =>
    warnings.push(text),
  )
    .then((fidelity) => ({ fidelity, differences: [] as unknown }))
    .catch((error: { code: string; details: Record<string, unknown> }) => {
      assert.equal(error.code, 'RESTORE_DIFFERS');
      return { fidelity: null, differences: error.details['differences'] };
    });
  return { ...result, warnings };
}

test('a tree that is what the snapshot says passes without a word', async () => {
  const { fidelity, warnings } = await check(':');
  assert.deepEqual(warnings, []);
  assert.deepEqual(fidelity?.found, expected);
  assert.deepEqual(fidelity?.same, { owners: true, modes: true, times: true, linkTargets: true });
});

for (const [what, change, differences] of [
  ['a file is missing', 'rm dir/deep/x', ['entries 7 instead of 8', 'files 2 instead of 3']],
  ['an owner', 'chown 3:5 dir; touch -d @1500000000.123456789 dir', ['owners']],
  ['two owners that changed places', 'chown 3:4 dir/deep; chown 0:0 dir', ['owners']],
  ['a mode', 'chmod 0711 file', ['modes']],
  ['the target of a link', 'ln -sfn targeT link; touch -h -d @-5.25 link', ['linkTargets']],
  ['a link that became a file', 'cp --remove-destination -p file hard', ['hardLinks 0 instead of 1']],
  ['an attribute', 'setfattr -x user.a file', ['xattrs 0 instead of 1']],
  ['a size', 'truncate -s 3 file', ['contentBytes']],
] as const) {
  test(`refused: ${what}`, async () => {
    const found = (await check(change)).differences as string[];
    for (const each of differences)
      assert.ok(
        found.some((text) => text.startsWith(each)),
        `${found} lacks ${each}`,
      );
  });
}

test('a warning: times, holes, and attributes that something added', async () => {
  for (const [change, warning] of [
    ['touch -d @1500000000.123456788 file', /does not hold all times/],
    [
      'cp --sparse=never -p --remove-destination sparse full; mv full sparse; touch -r file .',
      /sparseFiles 0 instead of 1/,
    ],
    ['setfattr -n user.added -v x dir', /xattrs 2 instead of 1/],
  ] as const) {
    const { fidelity, warnings } = await check(change);
    assert.ok(fidelity !== null, change);
    assert.match(warnings.join(), warning);
  }
});
