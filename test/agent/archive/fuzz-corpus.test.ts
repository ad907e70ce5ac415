/** What fuzzing found to reach something new, once more: a million executions each found nothing wrong with it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readCorpus } from '../../fuzz/corpus.ts';
import { fuzz } from '../../fuzz/fuzzer.ts';
import { askGnuTar, hasMoreThanTar } from '../../fuzz/gnu-tar.ts';
import { SEEDS } from '../../fuzz/seeds.ts';
import { type Seen, TARGETS } from '../../fuzz/targets.ts';

const folder = mkdtempSync(join(tmpdir(), 'refloat-fuzz-corpus-'));
after(() => rmSync(folder, { recursive: true }));

for (const name of ['header', 'pax', 'archive'] as const) {
  test(`the corpus of ${name} keeps every promise of the parser`, async () => {
    const inputs = [...SEEDS[name], ...readCorpus(name)];
    assert.ok(inputs.length > 20);
    let accepted = 0;
    for (const input of inputs) if ((await TARGETS[name](input)) !== null) accepted += 1;
    assert.ok(accepted > 0 && accepted < inputs.length);
  });
}

test('GNU tar lists what we read of the archives of the corpus', async () => {
  const opinions: string[] = [];
  for (const input of readCorpus('archive')) {
    const seen = hasMoreThanTar(input) ? null : await TARGETS.archive(input);
    if (seen !== null) opinions.push(askGnuTar(input, seen, folder));
  }
  assert.ok(opinions.length > 10);
  assert.ok(!opinions.includes('different'), opinions.join());
});

test('the targets see what must not be: a path that leaves, data that changes on its way', async () => {
  const wrong: Seen = {
    ...{
      type: 'file',
      path: '../x',
      target: '',
      symlinkName: null,
      mode: 0,
      uid: 0,
      gid: 0,
      size: 0,
      segments: null,
      data: '',
      xattrs: [],
    },
    mtime: { seconds: 0, nanoseconds: 0 },
  };
  const { keepsTheRules } = await import('../../fuzz/targets.ts');
  const broken: readonly Partial<Seen>[][] = [
    [{}],
    [{ path: 'a' }, { path: 'a' }],
    [{ path: 'a' }, { path: 'a/b' }],
    [{ path: 'a/b' }, { path: 'a' }],
    [{ path: 'h', type: 'hardlink', target: 'a' }],
    [{ path: 's', type: 'symlink', target: 's' }, { path: 's/a' }],
    [{ path: 'a', size: 1 }],
  ];
  for (const members of broken)
    assert.throws(() => keepsTheRules(members.map((member) => ({ ...wrong, ...member }))), JSON.stringify(members));
  keepsTheRules([{ ...wrong, path: 'a' }]);
});

test('the fuzzer follows coverage into a place that chance does not reach', async () => {
  const counters = { s: { 0: 0, 1: 0, 2: 0, 3: 0 } as Record<string, number>, f: {}, b: {} };
  const secret = Buffer.from('tar');
  const target = (input: Buffer): null => {
    for (let index = 0; index < 3 && input[index] === secret[index]; index += 1) counters.s[index] = 1;
    if (input.subarray(0, 3).equals(secret)) throw new Error('found');
    return null;
  };
  const options = { target, coverage: () => ({ file: counters }), archive: false, seed: 1, executions: 100_000 };
  await assert.rejects(fuzz({ ...options, seeds: [Buffer.from('xxx')] }), /found/);
});
