import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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
import { exchangeBack, exchangeForward, planExchange, probeExchange } from '../../../agent/restore/exchange.ts';
import type { Exchange, Target } from '../../../agent/restore/facts.ts';
import { restoreTarget } from '../../helpers/target.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-exchange-'));
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const target = (base: string, mountPoint: boolean): Target => restoreTarget(join(base, 'data'), { mountPoint });

function prepared(): Exchange {
  const wanted = target(join(root, String(++count)), false);
  mkdirSync(wanted.live, { recursive: true });
  mkdirSync(wanted.staging, { recursive: true });
  writeFileSync(join(wanted.live, 'which'), 'old');
  writeFileSync(join(wanted.staging, 'which'), 'new');
  const exchange = planExchange(wanted);
  assert.ok(exchange !== null);
  return exchange;
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
    assert.equal(probeExchange(exchange), ['before', 'after'].includes(name) ? name : 'between');
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

/** Everything that one side may have and the other not, at the top of a volume that is a mount point. */
const FILL_OLD = `set -e; cd "$1"; echo same > both; mkdir only-old; echo 1 > only-old/x; ln -s /nowhere link; printf x > "$(printf 'raw\\377name')"
  chown 11:12 .; chmod 2750 .; touch -d @1000000000.123456789 .; setfattr -n user.which -v old .`;
const FILL_NEW = `set -e; cd "$1"; echo other > both; echo 2 > only-new; mkdir link; echo y > link/y
  chown 21:22 .; chmod 0701 .; touch -d @1100000000.987654321 .; setfattr -n user.new -v new .`;

test('a mount point keeps its place: its entries change places, from every point in between and back', () => {
  const wanted = target(join(root, String(++count)), true);
  mkdirSync(wanted.live, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', wanted.live]);
  try {
    mkdirSync(wanted.staging, { recursive: true });
    mkdirSync(join(wanted.live, 'lost+found'));
    execFileSync('bash', ['--norc', '-c', FILL_NEW, 'bash', wanted.staging]);
    execFileSync('bash', ['--norc', '-c', FILL_OLD, 'bash', wanted.live]);
    const exchange = planExchange(wanted);
    assert.ok(exchange !== null);
    const visible = (path: string) =>
      new Map([...snapshotTree(path)].filter(([name]) => !/^(\.refloat-x|lost\+found)(\/|$)/.test(name)));
    const [old, fresh] = [visible(wanted.live), visible(wanted.staging)];
    const isOld = () =>
      compareTrees(old, visible(wanted.live)).length === 0 && compareTrees(fresh, visible(wanted.staging)).length === 0;
    const isNew = () =>
      compareTrees(fresh, visible(wanted.live)).length === 0 && compareTrees(old, visible(wanted.staging)).length === 0;
    assert.ok(isOld());
    for (let done = 0; done <= exchange.names.length; done++) {
      exchangeForward({ ...exchange, names: exchange.names.slice(0, done) });
      exchangeForward(exchange);
      assert.ok(isNew(), `finished after ${done} entries`);
      exchangeBack({ ...exchange, names: exchange.names.slice(done) });
      exchangeBack(exchange);
      assert.ok(isOld(), `taken back after ${done} entries`);
    }
    assert.ok(existsSync(join(wanted.live, 'lost+found')));
  } finally {
    execFileSync('umount', [wanted.live]);
  }
});
