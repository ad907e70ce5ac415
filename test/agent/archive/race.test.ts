/** Somebody on the host who exchanges directories of staging for symlinks while an archive is being extracted gets nothing out of it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { entry, tar } from '../../helpers/tar-builder.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-race-'));
after(() => rmSync(base, { recursive: true, force: true }));

const DIRECTORIES = 4;
const FILES = 4000;

/** Files of all directories take turns, so that each directory is looked up again and again; times of directories come last. */
const archive = join(base, 'a.tar');
writeFileSync(
  archive,
  tar(
    ...Array.from({ length: DIRECTORIES }, (_, index) =>
      entry({ name: `d${index}/`, type: '5', mode: 0o777, mtime: 5 }),
    ),
    ...Array.from({ length: FILES }, (_, index) =>
      entry({ name: `d${index % DIRECTORIES}/f${index}`, body: 'written', mode: 0o666 }),
    ),
    ...Array.from({ length: 200 }, (_, index) =>
      entry({
        name: `d${index % DIRECTORIES}/h${index}`,
        type: '1',
        linkName: `d${index % DIRECTORIES}/f${index % DIRECTORIES}`,
      }),
    ),
    ...Array.from({ length: 200 }, (_, index) =>
      entry({ name: `d${index % DIRECTORIES}/s${index}`, type: '2', linkName: 'x' }),
    ),
  ),
);

for (const wall of [true, false]) {
  test(`nothing is written through a directory that becomes a symlink, ${wall ? 'with' : 'without'} the second wall`, async () => {
    const folder = join(base, wall ? 'walled' : 'unwalled');
    const outside = join(folder, 'outside');
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, 'f0'), 'precious');
    const before = snapshotTree(outside);
    const archiver = createArchiver({ wall });
    let exchanges = 0;
    // An exchange that is noticed ends the extraction, so it takes several until there were enough of them.
    for (let round = 0; round < 40 && exchanges < 20; round += 1) {
      const destination = join(folder, `staging-${round}`);
      let over = false;
      const extracting = archiver.extract({ archive, destination, policy: 'faithful' }).catch(() => undefined);
      void extracting.then(() => {
        over = true;
      });
      for (let turn = 0; !over; turn += 1) {
        exchanges += await exchange(join(destination, `d${turn % DIRECTORIES}`), join(folder, 'aside'), outside);
        await immediate();
      }
    }
    assert.ok(exchanges >= 20, `only ${exchanges} exchanges`);
    assert.deepEqual(compareTrees(before, snapshotTree(outside)), [], 'nothing outside was created, changed or linked');
  });
}

/** For a moment the directory is a symlink; 1, or 0 when it is not there yet, or not any more. */
async function exchange(directory: string, aside: string, target: string): Promise<number> {
  try {
    renameSync(directory, aside);
    symlinkSync(target, directory);
    await immediate();
    unlinkSync(directory);
    renameSync(aside, directory);
    return 1;
  } catch {
    rmSync(aside, { recursive: true, force: true });
    return 0;
  }
}
