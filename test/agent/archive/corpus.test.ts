/** Other projects' fixtures: extracted exactly or refused cleanly, and nothing outside the destination changes. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Archiver, Policy } from '../../../agent/archive/types.ts';
import { RefloatError } from '../../../db/errors.ts';
import { type CorpusRow, compareWithCorpus, corpusFolder, readCorpus } from '../../helpers/corpus.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const walled = createArchiver();
/** The first wall alone; wall.test.ts has the second one alone. */
const unwalled = createArchiver({ wall: false });
const base = mkdtempSync(join(tmpdir(), 'refloat-corpus-'));
after(() => rmSync(base, { recursive: true, force: true }));

const CODES = /^ARCHIVE_(REFUSED|TRUNCATED|CORRUPT|LIMIT)$/;
/** Every one of these may be refused, or extracted as its name says. */
const ALTERNATIVES =
  /^may-(reject|extract|extract-consensus|extract-rooted|extract-replaced|extract-literal|extract-ignored)$/;

const compared = { times: 0 };

async function run(folder: string, row: CorpusRow, index: number, policy: Policy, archiver: Archiver): Promise<void> {
  const sandbox = join(base, `${policy}-${archiver === walled ? 'walled' : 'unwalled'}-${index}`);
  mkdirSync(join(sandbox, 'outside'), { recursive: true });
  writeFileSync(join(sandbox, 'outside', 'canary'), 'alive');
  const destination = join(sandbox, 'destination');
  const before = snapshotTree(sandbox);
  let refused: RefloatError | null = null;
  try {
    await archiver.extract({ archive: join(folder, row.path), destination, policy });
  } catch (error) {
    assert.ok(error instanceof RefloatError);
    assert.match(error.code, CODES, error.message);
    assert.equal(typeof error.details?.['rule'], 'string');
    assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f]/);
    assert.ok(!existsSync(destination), 'a refusal leaves nothing');
    refused = error;
  }
  const tree = refused === null ? snapshotTree(destination) : null;
  for (const node of tree?.values() ?? []) assert.notEqual(node.type, 'other', 'no device, FIFO or socket');
  rmSync(destination, { recursive: true, force: true });
  assert.deepEqual(compareTrees(before, snapshotTree(sandbox), ['mtime']), [], 'nothing outside changes');
  if (policy === 'strict') return;
  if (!ALTERNATIVES.test(row.strictness))
    assert.equal(refused === null, row.expected === 'extract-safely', refused?.message ?? 'was extracted');
  if (tree !== null && row.expectedTree !== '') assert.deepEqual(compareWithCorpus(folder, row, tree, compared), []);
}

const folder = corpusFolder();
if (folder === null) {
  test(
    'the corpus of other projects',
    { skip: 'there is no tarcorpus beside the repository; hostile.test.ts covers each rule on its own' },
    () => undefined,
  );
} else {
  const rows = readCorpus(folder);
  for (const [policy, archiver] of [
    ['faithful', walled],
    ['strict', walled],
    ['faithful', unwalled],
  ] as const) {
    const alone = archiver === unwalled ? ', the second wall switched off' : '';
    describe(`corpus, policy ${policy}${alone}`, { concurrency: 3 }, () => {
      for (const [index, row] of rows.entries()) {
        test(`${row.expected} (${row.strictness}): ${row.path}`, async () => {
          await run(folder, row, index, policy, archiver);
        });
      }
    });
  }
  test('times were among what was compared', () => {
    assert.ok(compared.times > 3 * rows.length, `only ${compared.times}`);
  });
}
