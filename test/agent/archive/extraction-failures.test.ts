/** What fails beside the extraction's own thread: a writer thread that dies, a sync that runs meanwhile. Each fails the extraction. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import koffi from 'koffi';
import { EarlySync } from '../../../agent/archive/early-sync.ts';
import { O, SystemCallError } from '../../../agent/archive/syscalls.ts';
import { WriterPool } from '../../../agent/archive/writer-pool.ts';
import { MAX_SMALL_BYTES, SLOT_BYTES, SLOTS } from '../../../agent/archive/writer-protocol.ts';
import { RefloatError } from '../../../db/errors.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-fails-'));
const root = openSync(base, O.RDONLY | O.DIRECTORY);
after(() => {
  closeSync(root);
  rmSync(base, { recursive: true, force: true });
});

const META = { mode: 0o644, uid: 0, gid: 0, seconds: 1, nanoseconds: 2, xattrs: [] };
/** Of two threads, and one more. */
const MORE_THAN_THE_RINGS = (2 * SLOTS * SLOT_BYTES) / MAX_SMALL_BYTES + 8;

async function poolOf(program: string | undefined): Promise<WriterPool> {
  const pool = new WriterPool(root, () => undefined, program);
  while (!pool.ready) await new Promise((done) => setImmediate(done));
  return pool;
}

async function fill(pool: WriterPool, files: number): Promise<void> {
  const data = Buffer.alloc(MAX_SMALL_BYTES, 'x');
  for (let file = 0; file < files; file += 1) await pool.add(`file-${file}`, META, data);
  await pool.drain();
}

const isInternal = (error: unknown): boolean => error instanceof RefloatError && error.code === 'INTERNAL';
const READY =
  "const { parentPort, workerData } = require('node:worker_threads'); parentPort.postMessage({ ready: true });";

for (const [how, program] of [
  ['throws', `${READY} setTimeout(() => { throw new Error('out of luck'); }, 50);`],
  ['ends without a word', `${READY} setTimeout(() => process.exit(0), 50);`],
  [
    'runs out of memory',
    `${READY} setTimeout(() => { const all = []; for (;;) all.push(new Array(1e5).fill({})); }, 50);`,
  ],
]) {
  test(`a writer thread that ${how} fails the extraction, with more to write than the rings hold`, async () => {
    const pool = await poolOf(program);
    await assert.rejects(fill(pool, MORE_THAN_THE_RINGS), isInternal);
    await pool.stop();
  });

  test(`a writer thread that ${how} fails the extraction, with everything handed over`, async () => {
    const pool = await poolOf(program);
    await assert.rejects(fill(pool, 1), isInternal);
    await pool.stop();
  });
}

test('threads that are slow are waited for', async () => {
  // Takes a batch off its ring only now and then, and writes nothing.
  const slow = `${READY} const state = new Int32Array(workerData.control);
    const timer = setInterval(() => {
      if (Atomics.load(state, 0) > Atomics.load(state, 1)) { Atomics.add(state, 1, 1); Atomics.notify(state, 1); }
      else if (Atomics.load(state, 2) === 1) { clearInterval(timer); parentPort.postMessage({ stopped: true }); }
    }, 60);`;
  await fill(await poolOf(slow), MORE_THAN_THE_RINGS);
});

test('an early sync that fails makes the last one throw, although that one finds nothing wrong', async () => {
  // A descriptor that cannot be synced, and that can be when the end comes.
  const fd = openSync(base, O.PATH | O.DIRECTORY);
  const sync = new EarlySync(fd);
  sync.wrote(2 ** 30);
  await sync.settle();
  koffi.load(null).func('int dup2(int, int)')(root, fd);
  await assert.rejects(sync.finish(), SystemCallError);
  const healthy = new EarlySync(fd);
  healthy.wrote(2 ** 30);
  await healthy.finish();
  closeSync(fd);
});
