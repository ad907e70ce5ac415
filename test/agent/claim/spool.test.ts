/** What waits for Postgres survives crashes: order, numbering, torn lines. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { listSpools, Spool } from '../../../agent/claim/spool.ts';
import { newId } from '../../../db/ids.ts';
import type { Outcome } from '../../../db/results.ts';

let stateDir: string;
const intentId = newId();
const DONE: Outcome = { state: 'succeeded', result: null, error: null };
const now = new Date('2026-01-01T00:00:00Z');
const numbers = (spool: Spool) =>
  spool.undelivered.map(({ item }) => (item.type === 'event' ? item.event.seq : item.type));

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'rfsp-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

function reopened(spool: Spool): Spool {
  spool.close();
  return Spool.open(stateDir, intentId);
}

test('items come back in order, numbered on where they stopped, and what was delivered does not', () => {
  let spool = Spool.open(stateDir, intentId);
  spool.hold(3, 10);
  spool.emit('step', { step: 'a' }, now);
  spool.emit('step', { step: 'b' }, now);
  spool.delivered(1);
  spool = reopened(spool);
  assert.equal(spool.leaseEpoch, 3);
  assert.deepEqual(numbers(spool), [12]);
  spool.hold(4, 11);
  spool.emit('step', { step: 'c' }, now);
  spool.append({ type: 'finish', outcome: DONE });
  spool = reopened(spool);
  assert.equal(spool.leaseEpoch, 4);
  assert.deepEqual(numbers(spool), [12, 13, 'finish']);
  assert.deepEqual(spool.outcome, DONE);
  spool.remove();
  assert.deepEqual(listSpools(stateDir), []);
});

test('a torn last line is dropped and its number is used again; every length of it', () => {
  const spool = Spool.open(stateDir, intentId);
  spool.hold(1, 0);
  spool.emit('step', { step: 'a' }, now);
  const whole = readFileSync(spool.path).length;
  spool.emit('step', { step: 'b' }, now);
  const both = readFileSync(spool.path).length;
  spool.close();
  for (let length = both - 1; length >= whole; length--) {
    truncateSync(spool.path, length);
    const again = Spool.open(stateDir, intentId);
    assert.deepEqual(numbers(again), [1], `cut to ${length} bytes`);
    again.close();
  }
  appendFileSync(spool.path, '{"type":"eve');
  const again = Spool.open(stateDir, intentId);
  again.emit('step', { step: 'other' }, now);
  assert.deepEqual(numbers(reopened(again)), [1, 2]);
});

test('a spool that is opened again is written anew, since what is read may never have reached the disk', () => {
  let spool = Spool.open(stateDir, intentId);
  spool.hold(1, 0);
  spool.emit('step', { step: 'a' }, now);
  const before = statSync(spool.path).ino;
  writeFileSync(`${spool.path}.new`, 'what a crash left of an earlier try');
  spool = reopened(spool);
  assert.notEqual(statSync(spool.path).ino, before);
  assert.equal(existsSync(`${spool.path}.new`), false);
  spool.emit('step', { step: 'b' }, now);
  assert.deepEqual(numbers(reopened(spool)), [1, 2], 'what comes later goes to the file that has the name');
});

test('a line that the disk spoiled does not keep the others from being delivered', () => {
  let spool = Spool.open(stateDir, intentId);
  spool.hold(1, 0);
  spool.emit('step', { step: 'a' }, now);
  appendFileSync(spool.path, '\u0000\u0001garbage\n');
  spool.append({ type: 'finish', outcome: DONE });
  spool = reopened(spool);
  assert.deepEqual(numbers(spool), [1, 'finish']);
  spool.close();
});

test('a disk that takes no more writes silences nothing while the agent runs', () => {
  const spool = Spool.open(stateDir, intentId);
  spool.hold(1, 0);
  spool.close();
  spool.emit('step', { step: 'a' }, now);
  spool.append({ type: 'finish', outcome: DONE });
  assert.deepEqual(numbers(spool), [1, 'finish']);
});

test('it is set aside once more where the rename had been done and was not known to be durable', () => {
  const spool = Spool.open(stateDir, intentId);
  spool.hold(1, 0);
  const lost = join(stateDir, 'spool', 'lost');
  mkdirSync(lost);
  renameSync(spool.path, join(lost, `${intentId}.jsonl`));
  spool.setAside();
  assert.ok(existsSync(join(lost, `${intentId}.jsonl`)));
  assert.deepEqual(listSpools(stateDir), []);
});
