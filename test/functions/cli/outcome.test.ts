import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../../../db/results.ts';
import { addSnapshot, mint } from '../../helpers/control-plane.ts';
import { handStage } from '../../helpers/hand.ts';
import { refloat, startRefloat } from './run-refloat.ts';

const { plane, hand, hostId, workloadId, workloadName } = await handStage();
const { jwt } = await mint(plane);
const env = { REFLOAT_PUBLIC_URL: plane.origin, REFLOAT_TOKEN: jwt };
const snapshotId = await addSnapshot(plane, { id: workloadId, hostId });

const error = { code: 'DISK_FULL', message: 'no space', hint: 'Free some.', step: 'check_disk' } as const;
const OUTCOMES: readonly [string, number, Outcome][] = [
  ['succeeded', 0, { state: 'succeeded', result: { downtimeMs: 412 }, error: null }],
  ['failed', 1, { state: 'failed', result: null, error: { ...error, code: 'ENGINE_FAILED', disposition: 'fail' } }],
  ['refused', 3, { state: 'failed', result: null, error: { ...error, disposition: 'refuse' } }],
  [
    'rolled back',
    4,
    { state: 'rolled_back', result: null, error: { ...error, code: 'UNHEALTHY', disposition: 'fail' } },
  ],
  ['cancelled', 4, { state: 'cancelled', result: null, error: { ...error, code: 'CANCELLED', disposition: 'refuse' } }],
];

for (const [what, code, outcome] of OUTCOMES) {
  test(`restore --wait that is ${what} ends with ${code} and one JSON object`, async () => {
    const ended = refloat(['restore', workloadName, 'latest', '--confirm', workloadName, '--wait', '--json'], env);
    const restore = await hand.claim();
    assert.equal(restore.row.snapshotId, snapshotId);
    await restore.run(['preflight', 2]);
    await restore.finish(outcome);
    const { code: found, json, stdout } = await ended;
    assert.equal(found, code);
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.equal(json.ok, code === 0);
    assert.equal(json.intent.state, outcome.state);
    assert.deepEqual(json.error?.code, outcome.error?.code);
    assert.deepEqual(json.error?.hint, outcome.error?.hint);
  });
}

test('a plan that says no ends with 3 and its first reason', async () => {
  // Without --wait: a plan is waited for unless told not to.
  const ended = refloat(['plan', workloadName, snapshotId, '--json'], env);
  const plan = await hand.claim();
  const refusal = { ...error, disposition: 'refuse' } as const;
  const result = {
    ok: false,
    refusals: [refusal],
    warnings: [],
    targets: [],
    fileSystems: [],
    containers: [],
    image: null,
    downtime: { estimateMs: null, measuredAt: null, stopTimeoutMs: 10_000 },
  };
  await plan.finish({ state: 'succeeded', result: { plan: result } });
  const { code, json } = await ended;
  assert.equal(code, 3);
  assert.equal(json.error.code, 'DISK_FULL');
});

test('an interrupt ends the command with 130 and leaves the intent alone', async () => {
  const running = startRefloat(['capture', workloadName, '--wait'], env);
  const capture = await hand.claim();
  await capture.run(['preflight', 2]);
  await running.said('preflight');
  running.child.kill('SIGINT');
  // As from a terminal, through the Node that started this one.
  running.child.kill('SIGINT');
  const { code, stderr } = await running.ended;
  assert.equal(code, 130);
  assert.match(stderr, /goes on without this command/);
  await capture.finish({ state: 'succeeded', result: {} });
});

test('a capture under way is a refusal: 3, and the id of what is in the way', async () => {
  await refloat(['capture', workloadName], env);
  const { code, json } = await refloat(['restore', workloadName, snapshotId, '--confirm', workloadName, '--json'], env);
  const capture = await hand.claim();
  assert.equal(code, 3);
  assert.equal(json.error.code, 'INTENT_UNDER_WAY');
  assert.equal(json.error.details.intentId, capture.row.id);
  await capture.finish({ state: 'succeeded', result: {} });
});

test('a wrong confirmation is refused, a missing one is wrong usage; nothing is asked for', async () => {
  const wrong = await refloat(['restore', workloadName, 'latest', '--confirm', 'shop', '--json'], env);
  assert.equal(wrong.code, 3);
  assert.equal(wrong.json.error.code, 'CONFIRMATION_MISMATCH');
  for (const name of ['магазин', 'shop\u{1}']) {
    const odd = await refloat(['restore', workloadName, 'latest', '--confirm', name, '--json'], env);
    assert.deepEqual([odd.code, odd.json.error.code], [3, 'CONFIRMATION_MISMATCH'], name);
  }
  const missing = await refloat(['restore', workloadName, 'latest', '--json'], env);
  assert.equal(missing.code, 2);
  assert.equal(missing.json.error.code, 'USAGE');
  const rows = await plane.database.sql`select id from intents where state = 'pending'`;
  assert.equal(rows.length, 0);
});

test('latest is never what a restore took away', async () => {
  await addSnapshot(
    plane,
    { id: workloadId, hostId },
    { kind: 'pre-restore', capturedAt: new Date(Date.now() + 60_000) },
  );
  const { json } = await refloat(['plan', workloadName, 'latest', '--no-wait', '--json'], env);
  assert.equal(json.intent.snapshotId, snapshotId);
  await (await hand.claim()).finish({ state: 'cancelled' });
});

test('undo and cancel take an intent; cancel --wait that cancelled is a success', async () => {
  await refloat(['restore', workloadName, snapshotId, '--confirm', workloadName], env);
  const restore = await hand.claim();
  await restore.register({ kind: 'pre-restore' });
  await restore.finish({ state: 'succeeded', result: { downtimeMs: 1 } });
  const blind = await mint(plane, { scopes: ['restores:create', 'intents:read'] });
  const asBlind = { ...env, REFLOAT_TOKEN: blind.jwt };
  const unnamed = await refloat(['undo', restore.row.id, '--json'], asBlind);
  assert.deepEqual([unnamed.code, unnamed.json.error.code], [2, 'USAGE']);
  assert.match(unnamed.json.error.hint, /--confirm/);
  const misnamed = await refloat(['undo', restore.row.id, '--confirm', 'shop', '--json'], asBlind);
  assert.deepEqual([misnamed.code, misnamed.json.error.code], [3, 'CONFIRMATION_MISMATCH']);
  const undone = await refloat(['undo', restore.row.id, '--confirm', workloadName, '--json'], asBlind);
  assert.equal(undone.code, 0);
  assert.equal(undone.json.intent.undoOf, restore.row.id);
  const undo = await hand.claim();
  const cancelled = refloat(['cancel', undo.row.id, '--wait', '--json'], env);
  for (;;) {
    const [row] = await plane.database
      .sql`select cancel_requested_at is not null as asked from intents where id = ${undo.row.id}`;
    if (row?.['asked'] === true) break;
  }
  await undo.finish({ state: 'cancelled' });
  assert.equal((await cancelled).code, 0);
});

test('a stuck workload ends with 5, and later requests say which intent it is', async () => {
  const ended = refloat(['capture', workloadName, '--wait', '--json'], env);
  const capture = await hand.claim();
  await capture.finish({ state: 'stuck', error: { ...error, code: 'STATE_UNDECIDABLE', disposition: 'stuck' } });
  assert.equal((await ended).code, 5);
  const next = await refloat(['capture', workloadName, '--json'], env);
  assert.equal(next.code, 3);
  assert.equal(next.json.error.code, 'WORKLOAD_STUCK');
  assert.equal(next.json.error.details.intentId, capture.row.id);
});
