/** The child reads hostile bytes, so it may become hostile itself: nothing that it says, or is short of, ends the agent. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ArchiveSummary } from '../../../agent/archive/types.ts';
import { RefloatError } from '../../../db/errors.ts';
import { archiverWithChild, createArchiver } from '../../helpers/shipped-archiver.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-hostile-child-'));
after(() => rmSync(base, { recursive: true, force: true }));
const destination = join(base, 'out');
const archive = join(base, 'any.tar');

const SUMMARY: ArchiveSummary = {
  entries: 1,
  files: 0,
  directories: 1,
  symlinks: 0,
  hardLinks: 0,
  sparseFiles: 0,
  xattrs: 0,
  contentBytes: 0,
  sha256: 'a'.repeat(64),
  archiveBytes: 1,
  hasRoot: true,
  skipped: [],
};
const ERROR = { code: 'ARCHIVE_CORRUPT', message: 'm', hint: 'h', disposition: 'refuse' };

/** Says it and stays, so that it is over only when it is killed. */
const staying = (text: string): string => `process.stdout.write(${JSON.stringify(text)}); setInterval(() => {}, 1000);`;
const saying = (...messages: readonly unknown[]): string =>
  staying(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
const rows = (count: number): unknown[] => new Array(count).fill({ path: 'p', reason: 'r' });

const NONSENSE: Readonly<Record<string, string>> = {
  'no JSON': staying('Segmentation fault\n'),
  'an empty line': staying('\n'),
  'no object': saying(null),
  'a message of two kinds': saying({ progress: [1, 1], ok: SUMMARY }),
  'progress that is a number': saying({ progress: 1 }),
  'progress that is no number': saying({ progress: ['1', 1] }),
  'progress without end': staying('{"progress":[1e999,1]}\n'),
  'an empty answer': saying({ ok: {} }),
  'another verb’s answer': saying({ ok: { entries: 1, taken: 1, copiedBytes: 1, clonedBytes: 1, skipped: [] } }),
  'more in an answer': saying({ ok: { ...SUMMARY, more: 1 } }),
  'a skipped path that is none': saying({ ok: { ...SUMMARY, skipped: [null] } }),
  'more skipped paths than one names': saying({ ok: { ...SUMMARY, skipped: rows(2000) } }),
  'an error without a code': saying({ error: { message: 'm' } }),
  'an error that is not an archive’s': saying({ error: { ...ERROR, code: 'CANCELLED' } }),
  'an error that stops everything': saying({ error: { ...ERROR, disposition: 'stuck' } }),
  'details without end': saying({ error: { ...ERROR, details: { a: [[[]]] } } }),
  'nonsense after progress': saying({ progress: [1, 1] }, 7),
  'a line without end':
    "const more = () => process.stdout.write('x'.repeat(1024 * 1024), more); more(); setInterval(() => {}, 1000);",
};

for (const [what, program] of Object.entries(NONSENSE)) {
  test(`a child that says ${what} is killed, and its request alone fails`, async () => {
    const archiver = await archiverWithChild(program);
    await assert.rejects(archiver.extract({ archive, destination, policy: 'faithful' }), (error: RefloatError) => {
      assert.ok(error instanceof RefloatError, String(error));
      assert.equal(error.code, 'INTERNAL');
      assert.match(error.message, /was killed$/);
      return true;
    });
    assert.ok(!existsSync(destination));
  });
}

test('what a child may say is taken: progress, its own errors, and the longest answer there is', async () => {
  const path = '\\'.repeat(300);
  const skipped = new Array(1010).fill({ path, reason: 'xattr-refused', detail: path, count: 2 });
  const said: number[][] = [];
  const answer = `${JSON.stringify({ progress: [7, 1] })}\n${JSON.stringify({ ok: { ...SUMMARY, skipped } })}\n`;
  const archiver = await archiverWithChild(`process.stdout.write(${JSON.stringify(answer)})`);
  const onProgress = (...progress: number[]): void => void said.push(progress);
  const summary = await archiver.extract({ archive, destination, policy: 'faithful', onProgress });
  assert.deepEqual(summary, { ...SUMMARY, skipped });
  assert.deepEqual(said, [[7, 1]]);
  const details = { rule: 'rule', entry: 'entry' };
  const refusing = await archiverWithChild(
    `process.stdout.write(${JSON.stringify(`${JSON.stringify({ error: { ...ERROR, details } })}\n`)})`,
  );
  await assert.rejects(refusing.verify({ archive, policy: 'faithful' }), { ...ERROR, details });
});

test('without a descriptor left a request fails, says what to do, and the next one is served', async () => {
  const archiver = createArchiver();
  const limit = (soft: string): void =>
    void execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
  const before = execFileSync('prlimit', ['--pid', String(process.pid), '--nofile', '-o', 'SOFT', '--noheadings']);
  // Lifting the limit again takes a program, and that a dozen descriptors.
  limit(String(Math.max(...readdirSync('/proc/self/fd').map(Number)) + 100));
  const taken: number[] = [];
  const fill = (): void => {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  };
  assert.throws(fill, { code: 'EMFILE' });
  const failed = archiver.measure(base).catch((thrown: unknown) => thrown);
  for (const fd of taken) closeSync(fd);
  limit(before.toString().trim());
  const error = await failed;
  assert.ok(error instanceof RefloatError, String(error));
  assert.deepEqual([error.code, error.disposition], ['INTERNAL', 'retry']);
  assert.match(error.message, /EMFILE/);
  assert.match(error.hint, /LimitNOFILE/);
  assert.ok((await archiver.measure(base)).entries > 0);
});
