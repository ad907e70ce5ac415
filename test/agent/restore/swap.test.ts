/** The swap by itself, on journaled facts: what it does when an application may have run, and when it cannot tell. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exchangeForward, planExchange, probeExchange } from '../../../agent/restore/exchange.ts';
import type { Exchange, RestoreFacts, Target } from '../../../agent/restore/facts.ts';
import type { StepContext } from '../../../agent/restore/saga.ts';
import { swap } from '../../../agent/restore/steps/swap.ts';
import { restoreTarget } from '../../helpers/target.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-swap-'));
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
/** Two volumes behind the commit: the entries of the first change places, the directory of the second does. */
function committed(): {
  entries: Exchange;
  whole: Exchange;
  context: StepContext<RestoreFacts>;
  facts: Map<string, unknown>;
} {
  const base = join(root, String(++count));
  const targets = ['v0', 'v1'].map((volume, index): Target => {
    const target = restoreTarget(join(base, volume), { volume, mountPoint: index === 0 });
    for (const [place, text] of [
      [target.live, 'old'],
      [target.staging, 'new'],
    ] as const) {
      mkdirSync(place, { recursive: true });
      for (const name of ['a', 'b', `only-${text}`]) writeFileSync(join(place, name), text);
    }
    return target;
  });
  const [entries, whole] = targets.map(planExchange);
  assert.ok(entries && whole);
  const facts = new Map<string, unknown>([
    ['preflight', { targets }],
    ['exchanges', [entries, whole]],
  ]);
  const factOrNull = (name: string) => facts.get(name) ?? null;
  const context = {
    fact: factOrNull,
    factOrNull,
    note: (name: string, fact: unknown) => facts.set(name, fact),
    committed: () => true,
  } as unknown as StepContext<RestoreFacts>;
  exchangeForward(entries);
  exchangeForward(whole);
  return { entries, whole, context, facts };
}

const runApplication = (directory: string) =>
  execFileSync('bash', [
    '--norc',
    '-c',
    'cd "$1"; echo x > y; mv y a; rm b; echo 1 > wal; chmod 0711 .',
    'bash',
    directory,
  ]);

test('behind its arrival it is left alone, whatever the application makes of it', async () => {
  const { entries, context, facts } = committed();
  await swap.act(context);
  assert.deepEqual(facts.get('arrived'), ['v0'], 'noted for what changes places by entries, and for nothing else');
  runApplication(entries.live);
  const left = snapshotTree(entries.live);
  await swap.act(context);
  assert.deepEqual(await swap.probe?.(context), { found: 'done' });
  assert.deepEqual(compareTrees(left, snapshotTree(entries.live)), []);
});

test('the way back is noted before it is begun, and is not planned again', async () => {
  const { entries, whole, context, facts } = committed();
  await swap.act(context);
  runApplication(entries.live);
  let noted: string | null = null;
  const stop = {
    ...context,
    note: (name: string, fact: unknown) => {
      facts.set(name, fact);
      noted = `${name}: ${probeExchange(whole)}`;
      throw new Error('it ends here');
    },
  } as StepContext<RestoreFacts>;
  await assert.rejects(async () => swap.undo?.(stop), /it ends here/);
  assert.equal(noted, 'returning: after');
  const plan = facts.get('returning');
  await swap.undo?.(context);
  await swap.undo?.(context);
  assert.equal(facts.get('returning'), plan);
  assert.deepEqual(await swap.probe?.(context), { found: 'not-done' });
  const names = [...snapshotTree(entries.live).keys()].filter((name) => name !== '' && !name.startsWith('.refloat-'));
  assert.deepEqual(names, ['a', 'b', 'only-old']);
});

test('what cannot be told of one volume keeps all of them where they are, forwards and back', async () => {
  for (const arrived of [true, false]) {
    const { entries, whole, context, facts } = committed();
    if (arrived) facts.set('arrived', ['v0']);
    // The old one is gone from where it was put.
    rmSync(join(entries.staging, 'b'));
    assert.equal((await swap.probe?.(context))?.found, 'undecidable');
    const before = snapshotTree(entries.live);
    await assert.rejects(async () => swap.undo?.(context), { code: 'STATE_UNDECIDABLE' });
    assert.equal(facts.get('returning'), undefined);
    assert.equal(probeExchange(whole), 'after');
    assert.deepEqual(compareTrees(before, snapshotTree(entries.live)), []);
  }
});
