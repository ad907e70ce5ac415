import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LockOptions, type Share, type WorkloadLock, WorkloadLocks } from '../../../agent/deploy/workload-lock.ts';
import type { RefloatError } from '../../../db/errors.ts';

const NEVER = new AbortController().signal;
/** Longer than any of these waits; a test that fails ends all the same. */
const PATIENCE_MS = 5000;

interface Holder {
  readonly lock: WorkloadLock;
  /** Ends its work. */
  readonly end: () => Promise<void>;
}

async function holder(locks: WorkloadLocks, id: string, options: LockOptions = {}): Promise<Holder> {
  const [held, ended] = [Promise.withResolvers<WorkloadLock>(), Promise.withResolvers<void>()];
  const work = locks.withWorkloadLock(
    id,
    (lock) => {
      held.resolve(lock);
      return ended.promise;
    },
    { name: `the ${id}`, ...options },
  );
  const lock = await held.promise;
  return {
    lock,
    end: async () => {
      ended.resolve();
      await work;
    },
  };
}

const holders = (locks: WorkloadLocks, ...ids: readonly string[]): Promise<Holder[]> =>
  Promise.all(ids.map((id) => holder(locks, id)));

/** Whether it is granted, seen when everything that is ready has run. */
function asks(lock: WorkloadLock, more: Partial<Share>, signal = NEVER) {
  const waitedFor: string[] = [];
  let state = 'waits';
  const taking = lock.take(more, signal, (names) => waitedFor.push(...names));
  const over = taking.then(
    () => {
      state = 'has it';
      return null;
    },
    (error: RefloatError) => {
      state = error.code;
      return error;
    },
  );
  return { taking, waitedFor, over, state: () => new Promise<string>((resolve) => setImmediate(() => resolve(state))) };
}

test('another workload’s lock is waited for until its work ends, and keeps its next work waiting', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [a, b] = (await holders(locks, 'a', 'b')) as [Holder, Holder];
  const order: string[] = [];
  const next = locks.withWorkloadLock('b', async () => void order.push('next work on b'));
  const asked = asks(a.lock, { ids: ['b'] });
  assert.equal(await asked.state(), 'waits');
  assert.deepEqual(asked.waitedFor, ['the b']);
  await b.end();
  assert.equal(await asked.state(), 'has it', 'it goes before those who have nothing in hand');
  assert.ok(a.lock.has({ ids: ['b'] }));
  assert.deepEqual(order, []);
  a.lock.letGo();
  await next;
  assert.ok(!a.lock.has({ ids: ['b'] }) && a.lock.has({ ids: ['a'] }));
  await a.end();
});

test('all that is asked for at once is granted at once, and until then nothing of it', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [a, c] = (await holders(locks, 'a', 'c')) as [Holder, Holder];
  const asked = asks(a.lock, { ids: ['b', 'c'] });
  const b = await holder(locks, 'b');
  await c.end();
  assert.equal(await asked.state(), 'waits');
  await b.end();
  assert.equal(await asked.state(), 'has it');
  await a.end();
  await (await holder(locks, 'b')).end();
});

test('of two that would wait for each other the second is refused at once, and the first has its turn', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [a, b] = (await holders(locks, 'a', 'b')) as [Holder, Holder];
  const first = asks(a.lock, { ids: ['b'] });
  const second = asks(b.lock, { ids: ['a'] });
  assert.deepEqual([await first.state(), await second.state()], ['waits', 'WORKLOAD_BUSY']);
  await assert.rejects(second.taking, /"the a".*waits for this one/);
  assert.deepEqual(second.waitedFor, []);
  await b.end();
  assert.equal(await first.state(), 'has it');
  await a.end();
});

test('so is who would close a longer circle; a line without a circle waits', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [a, b, c] = (await holders(locks, 'a', 'b', 'c')) as [Holder, Holder, Holder];
  const one = asks(a.lock, { ids: ['b'] });
  const two = asks(b.lock, { exchanges: ['/srv/x'], ids: ['c'] });
  const three = asks(c.lock, { ids: ['a'] });
  assert.deepEqual([await one.state(), await two.state(), await three.state()], ['waits', 'waits', 'WORKLOAD_BUSY']);
  await c.end();
  assert.deepEqual([await one.state(), await two.state()], ['waits', 'has it']);
  await b.end();
  assert.equal(await one.state(), 'has it');
  await a.end();
});

test('work that touches nothing hinders nobody, and waits for work on its own workload alone', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [a, reader] = [await holder(locks, 'a'), await holder(locks, 'b', { touches: false })];
  assert.equal(await asks(a.lock, { ids: ['b'] }).state(), 'has it');
  await reader.end();
  const next = await holder(locks, 'b', { touches: false });
  await next.end();
  await a.end();
});

test('the wait for one’s own lock names who has it, and ends with a cancel', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const a = await holder(locks, 'a');
  await a.lock.take({ ids: ['b'] }, NEVER);
  const cancel = new AbortController();
  const told: string[] = [];
  const options: LockOptions = { signal: cancel.signal, onWait: (names) => void told.push(...names) };
  const b = locks.withWorkloadLock('b', () => Promise.reject(new Error('it had its turn')), options);
  const ended = assert.rejects(b, /no longer wanted/);
  await new Promise(setImmediate);
  cancel.abort(new Error('no longer wanted'));
  await ended;
  assert.deepEqual(told, ['the a']);
  await a.end();
  await (await holder(locks, 'b')).end();
});

test('whatever is asked for, in whatever order, a circle ends at once, and everybody else has its turn', async () => {
  const ids = ['a', 'b', 'c', 'd'];
  const ends = { granted: 0, refused: 0 };
  for (let seed = 0; seed < 200; seed += 1) {
    const locks = new WorkloadLocks(PATIENCE_MS);
    const all = await holders(locks, ...ids);
    const works = all.map(async ({ lock, end }, index) => {
      const others = ids.filter((id, other) => id !== ids[index] && ((seed * 7919) >> (index * 3 + other)) & 1);
      const refusal = await asks(lock, { ids: others, exchanges: [`/srv/${(seed >> index) & 1}`] }).over;
      await end();
      ends[refusal === null ? 'granted' : 'refused'] += 1;
      if (refusal !== null) assert.match(refusal.message, /and waits for this one/);
    });
    await Promise.all(works);
  }
  assert.ok(ends.granted > 200 && ends.refused > 100, JSON.stringify(ends));
});

test('a wait ends with the patience, and with a signal; what was not granted keeps nobody waiting', async () => {
  const locks = new WorkloadLocks(20);
  const [a, b, c] = (await holders(locks, 'a', 'b', 'c')) as [Holder, Holder, Holder];
  await assert.rejects(a.lock.take({ ids: ['b'] }, NEVER), {
    code: 'WORKLOAD_BUSY',
    disposition: 'refuse',
    message: /another intent works on "the b"/,
  });
  const cancel = new AbortController();
  const asked = asks(c.lock, { ids: ['b'] }, cancel.signal);
  cancel.abort(new Error('cancelled'));
  await assert.rejects(asked.taking, /cancelled/);
  await b.end();
  await (await holder(locks, 'b')).end();
  await Promise.all([a.end(), c.end()]);
});

test('who exchanges a directory has it to itself, with all around it and in it; who only uses it does not', async () => {
  const locks = new WorkloadLocks(PATIENCE_MS);
  const [restore, deploy, capture] = (await holders(locks, 'a', 'b', 'c')) as [Holder, Holder, Holder];
  await deploy.lock.take({ uses: ['/srv/x'] }, NEVER);
  await capture.lock.take({ uses: ['/srv/x', '/srv/y'] }, NEVER);
  const asked = asks(restore.lock, { exchanges: ['/srv/x/inner'] });
  assert.equal(await asked.state(), 'waits');
  assert.deepEqual(asked.waitedFor, ['the b', 'the c']);
  await deploy.end();
  assert.equal(await asked.state(), 'waits');
  await capture.end();
  assert.equal(await asked.state(), 'has it');

  const other = await holder(locks, 'd');
  await other.lock.take({ uses: ['/srv/x-similar', '/srv/y'] }, NEVER);
  const within = asks(other.lock, { uses: ['/srv/x'] });
  const beside = await holder(locks, 'e');
  const exchange = asks(beside.lock, { exchanges: ['/srv'] });
  assert.deepEqual([await within.state(), await exchange.state()], ['waits', 'waits']);
  restore.lock.letGo();
  assert.deepEqual([await within.state(), await exchange.state()], ['has it', 'waits']);
  await other.end();
  assert.equal(await exchange.state(), 'has it');
  await Promise.all([restore.end(), beside.end()]);
});

test('nothing can be taken by who has lost its own lock', async () => {
  const { lock, end } = await holder(new WorkloadLocks(PATIENCE_MS), 'a');
  await end();
  await assert.rejects(lock.take({ ids: ['b'] }, NEVER), /is not held/);
});
