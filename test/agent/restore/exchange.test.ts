import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identify } from '../../../agent/fs/durable.ts';
import { exchangeBack, exchangeForward, probeExchange } from '../../../agent/restore/exchange.ts';
import type { Exchange } from '../../../agent/restore/facts.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-exchange-'));
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function prepared(): Exchange {
  const base = join(root, String(++count));
  const live = join(base, 'data');
  const staging = join(base, '.refloat-x', 'data');
  mkdirSync(live, { recursive: true });
  mkdirSync(staging, { recursive: true });
  writeFileSync(join(live, 'which'), 'old');
  writeFileSync(join(staging, 'which'), 'new');
  const [old, fresh] = [identify(live), identify(staging)];
  assert.ok(old !== null && fresh !== null);
  return { volume: 'data', live, staging, old, new: fresh };
}

const which = (path: string) => readFileSync(join(path, 'which'), 'utf8');
const aside = (exchange: Exchange) => `${exchange.staging}.aside`;

/** How to bring the disk into each state that a crash can leave, as the exchange without RENAME_EXCHANGE passes them. */
const STATES: Record<string, (exchange: Exchange) => void> = {
  before: () => undefined,
  aside: (exchange) => renameSync(exchange.live, aside(exchange)),
  'aside with a stray directory that the engine made': (exchange) => {
    renameSync(exchange.live, aside(exchange));
    mkdirSync(exchange.live);
  },
  'moved-in': (exchange) => {
    renameSync(exchange.live, aside(exchange));
    renameSync(exchange.staging, exchange.live);
  },
  after: (exchange) => {
    renameSync(exchange.live, aside(exchange));
    renameSync(exchange.staging, exchange.live);
    renameSync(aside(exchange), exchange.staging);
  },
};

for (const [name, bring] of Object.entries(STATES)) {
  test(`from "${name}" the exchange can be finished and taken back, any number of times`, () => {
    const exchange = prepared();
    bring(exchange);
    assert.equal(probeExchange(exchange), name.startsWith('aside') ? 'aside' : name);
    for (let round = 0; round < 2; round++) {
      exchangeForward(exchange);
      assert.equal(probeExchange(exchange), 'after');
      assert.deepEqual([which(exchange.live), which(exchange.staging)], ['new', 'old']);
      exchangeForward(exchange);
      exchangeBack(exchange);
      assert.equal(probeExchange(exchange), 'before');
      assert.deepEqual([which(exchange.live), which(exchange.staging)], ['old', 'new']);
      exchangeBack(exchange);
    }
    assert.ok(!existsSync(aside(exchange)));
  });

  test(`from "${name}" it can be taken back at once`, () => {
    const exchange = prepared();
    bring(exchange);
    exchangeBack(exchange);
    assert.deepEqual([which(exchange.live), which(exchange.staging)], ['old', 'new']);
  });
}

test('a directory that is neither the old nor the new one is left alone', () => {
  for (const strange of ['live', 'staging'] as const) {
    const exchange = prepared();
    rmSync(exchange[strange], { recursive: true });
    // The freed inode must not come back under the new directory.
    mkdirSync(join(root, `spacer-${count}-${strange}`));
    mkdirSync(exchange[strange]);
    writeFileSync(join(exchange[strange], 'precious'), 'x');
    const before = readdirSync(exchange[strange]);
    assert.equal(probeExchange(exchange), 'undecidable');
    assert.throws(() => exchangeForward(exchange), { code: 'STATE_UNDECIDABLE', disposition: 'stuck' });
    assert.throws(() => exchangeBack(exchange), { code: 'STATE_UNDECIDABLE' });
    assert.deepEqual(readdirSync(exchange[strange]), before);
  }
});

test('a stray directory with something in it is not removed', () => {
  const exchange = prepared();
  renameSync(exchange.live, aside(exchange));
  mkdirSync(exchange.live);
  writeFileSync(join(exchange.live, 'precious'), 'x');
  assert.throws(() => exchangeForward(exchange), { code: 'STATE_UNDECIDABLE' });
  assert.throws(() => exchangeBack(exchange), { code: 'STATE_UNDECIDABLE' });
  assert.equal(readFileSync(join(exchange.live, 'precious'), 'utf8'), 'x');
});
