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
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import {
  assertDecidable,
  exchangeBack,
  exchangeForward,
  oldSideOf,
  planExchange,
  planReturn,
  probeExchange,
} from '../../../agent/restore/exchange.ts';
import { probeOldSide } from '../../../agent/restore/exchange-pair.ts';
import type { Exchange } from '../../../agent/restore/facts.ts';
import { restoreTarget } from '../../helpers/target.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-exchange-'));
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const newBase = (): string => join(root, String(++count));

function prepared({ volume = 'data', base = newBase() } = {}): Exchange {
  const wanted = restoreTarget(join(base, volume), { volume });
  mkdirSync(wanted.live, { recursive: true });
  mkdirSync(wanted.staging, { recursive: true });
  writeFileSync(join(wanted.live, 'which'), 'old');
  writeFileSync(join(wanted.staging, 'which'), 'new');
  const exchange = planExchange(wanted);
  assert.ok(exchange !== null);
  return exchange;
}

const which = (path: string) => readFileSync(join(path, 'which'), 'utf8');
const aside = ({ staging }: Exchange) => join(dirname(staging), `.aside-${basename(staging)}`);

type Bring = (exchange: Exchange, parked: string) => void;

/** How to bring the disk into each state that a crash can leave, as the exchange without RENAME_EXCHANGE passes them. */
const STATES: Record<string, Bring> = {
  before: () => undefined,
  aside: ({ live }, parked) => renameSync(live, parked),
  'aside with a stray directory that the engine made': ({ live }, parked) => {
    renameSync(live, parked);
    mkdirSync(live);
  },
  'moved-in': ({ live, staging }, parked) => {
    renameSync(live, parked);
    renameSync(staging, live);
  },
  after: ({ live, staging }, parked) => {
    renameSync(live, parked);
    renameSync(staging, live);
    renameSync(parked, staging);
  },
};

/** Where the old directory is put aside, now and by earlier versions. */
const ASIDES: Record<string, (exchange: Exchange) => string> = {
  '': aside,
  ', as earlier versions left it,': ({ staging }) => `${staging}.aside`,
};

for (const [name, bring] of Object.entries(STATES)) {
  for (const [by, place] of Object.entries(ASIDES)) {
    test(`from "${name}"${by} the exchange can be finished and taken back, any number of times`, () => {
      const exchange = prepared();
      bring(exchange, place(exchange));
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
      assert.deepEqual(readdirSync(dirname(exchange.staging)), ['data']);
    });

    test(`from "${name}"${by} it can be taken back at once`, () => {
      const exchange = prepared();
      bring(exchange, place(exchange));
      exchangeBack(exchange);
      assert.deepEqual([which(exchange.live), which(exchange.staging)], ['old', 'new']);
    });
  }

  test(`from "${name}" it can be told beside a volume that has the name by which earlier versions put it aside`, () => {
    const exchange = prepared();
    const beside = prepared({ volume: 'data.aside', base: dirname(exchange.live) });
    assert.equal(beside.staging, `${exchange.staging}.aside`);
    bring(exchange, aside(exchange));
    for (const move of [exchangeForward, exchangeBack]) {
      assertDecidable([exchange, beside]);
      for (const each of [exchange, beside]) move(each);
    }
    for (const each of [exchange, beside])
      assert.deepEqual([which(each.live), which(each.staging)], ['old', 'new'], each.volume);
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

/** What lies at the top of a volume, without what is the agent's or the file system's. */
const visible = (path: string) =>
  new Map([...snapshotTree(path)].filter(([name]) => !/^(\.refloat-x|lost\+found)(\/|$)/.test(name)));

function onMountPoint(work: (exchange: Exchange) => void): void {
  const wanted = restoreTarget(join(newBase(), 'data'), { mountPoint: true });
  mkdirSync(wanted.live, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', wanted.live]);
  try {
    mkdirSync(wanted.staging, { recursive: true });
    mkdirSync(join(wanted.live, 'lost+found'));
    execFileSync('bash', ['--norc', '-c', FILL_NEW, 'bash', wanted.staging]);
    execFileSync('bash', ['--norc', '-c', FILL_OLD, 'bash', wanted.live]);
    const exchange = planExchange(wanted);
    assert.ok(exchange !== null);
    work(exchange);
    assert.ok(existsSync(join(wanted.live, 'lost+found')));
  } finally {
    execFileSync('umount', [wanted.live]);
  }
}

test('a mount point keeps its place: its entries change places, from every point in between and back', () => {
  onMountPoint((exchange) => {
    const { live, staging } = exchange;
    const [old, fresh] = [visible(live), visible(staging)];
    const isOld = () =>
      compareTrees(old, visible(live)).length === 0 && compareTrees(fresh, visible(staging)).length === 0;
    const isNew = () =>
      compareTrees(fresh, visible(live)).length === 0 && compareTrees(old, visible(staging)).length === 0;
    assert.ok(isOld());
    for (let done = 0; done <= exchange.names.length; done++) {
      exchangeForward({ ...exchange, names: exchange.names.slice(0, done) });
      exchangeForward(exchange);
      assert.ok(isNew(), `finished after ${done} entries`);
      exchangeBack({ ...exchange, names: exchange.names.slice(done) });
      exchangeBack(exchange);
      assert.ok(isOld(), `taken back after ${done} entries`);
    }
  });
});

/** Replaced by rename, removed, added, and added under a name that the old tree has. */
const RUN_APPLICATION = `set -e; cd "$1"; echo mine > both.tmp; mv both.tmp both; rm only-new; echo log > wal; echo own > only-old
  chmod 0755 .; setfattr -n user.application -v ran .`;

test('what an application left in a mount point goes aside as it is, and the old tree returns, from every point in between', () => {
  onMountPoint((exchange) => {
    const { live, staging } = exchange;
    const old = visible(live);
    exchangeForward(exchange);
    execFileSync('bash', ['--norc', '-c', RUN_APPLICATION, 'bash', live]);
    const left = visible(live);
    const back = planReturn(exchange);
    assert.equal(probeExchange(back), 'after');
    assert.equal(probeExchange(oldSideOf(exchange), probeOldSide), 'after');
    // As the journal has it.
    const plan = JSON.parse(JSON.stringify(back)) as Exchange;
    const isBack = (from: string) => {
      assert.deepEqual(compareTrees(old, visible(live)), [], `${from}: live`);
      assert.deepEqual(compareTrees(left, visible(staging)), [], `${from}: aside`);
      assert.deepEqual(readdirSync(join(staging, '..')), ['data'], from);
    };
    for (let done = 0; done <= plan.names.length; done++) {
      exchangeBack({ ...plan, names: plan.names.slice(done) });
      exchangeBack(plan);
      isBack(`after ${done} entries`);
      exchangeForward(plan);
      assert.deepEqual(compareTrees(left, visible(live)), []);
    }
    for (const [index, { name, old: before, new: after }] of plan.names.entries()) {
      if (name === null || before === null || after === null) continue;
      const text = Buffer.from(name, 'base64').toString();
      const parked = `${staging}.aside-${index}`;
      for (const moves of [1, 2]) {
        // As far as it comes where the file system cannot exchange two names.
        renameSync(join(staging, text), parked);
        if (moves === 2) renameSync(join(live, text), join(staging, text));
        assert.equal(probeExchange(plan), 'between');
        exchangeBack(plan);
        isBack(`${text}, ${moves} of three moves`);
        exchangeForward(plan);
      }
    }
  });
});

test('where the old tree is not exactly what was put aside, no way back is planned, and nothing moves', () => {
  const strange: Record<string, string> = {
    'moved away': 'mv only-old ..',
    'replaced by a copy': 'cp -a both copy && mv copy both',
    'something beside it': 'echo 1 > foreign',
    'the whole of it gone': 'rm -r ../data',
  };
  for (const [name, change] of Object.entries(strange)) {
    onMountPoint((exchange) => {
      exchangeForward(exchange);
      execFileSync('bash', ['--norc', '-c', RUN_APPLICATION, 'bash', exchange.live]);
      execFileSync('bash', ['--norc', '-c', `cd "$1" && ${change}`, 'bash', exchange.staging]);
      const before = snapshotTree(exchange.live);
      const plan = planReturn(exchange);
      assert.equal(probeExchange(plan), 'undecidable', name);
      assert.equal(probeExchange(oldSideOf(exchange), probeOldSide), 'undecidable', name);
      assert.throws(() => assertDecidable([plan]), { code: 'STATE_UNDECIDABLE', disposition: 'stuck' });
      assert.deepEqual(compareTrees(before, snapshotTree(exchange.live)), []);
    });
  }
});

test('of a directory that moved as one only the time is put back: its owner and mode may be what an application made of them', () => {
  const exchange = prepared();
  exchangeForward(exchange);
  execFileSync('bash', ['--norc', '-c', 'chown 70:71 "$1"; chmod 0700 "$1"', 'bash', exchange.live]);
  exchangeForward(exchange);
  const { uid, gid, mode } = statSync(exchange.live);
  assert.deepEqual([uid, gid, mode & 0o7777], [70, 71, 0o700]);
});
