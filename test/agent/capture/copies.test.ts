/** What a capture leaves of the root of a mount point in which its copies lay. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { planCopies, prepareCopies, removeCopies } from '../../../agent/capture/copies.ts';
import type { CaptureFacts } from '../../../agent/capture/facts.ts';
import type { StepContext } from '../../../agent/restore/saga.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';

const INTENT = '01890a5d-ac96-774b-bcce-b302099a8057';
const T0 = new Date('2020-01-01T00:00:00Z');
const disk = mountLoop('ext4', 64 * 1024 ** 2);
after(disk.unmount);

/** A capture of the mount point, as far as its copies go. */
function capture() {
  rmdirSync(join(disk.path, 'lost+found'));
  const [scope, source, target] = ['absolute', disk.path, '/data'] as const;
  const copies = planCopies([{ name: 'data', scope, source, target, path: disk.path }], INTENT);
  const facts = new Map<string, unknown>([['check_disk', { copies }]]);
  const context = {
    fact: (name: string) => facts.get(name),
    factOrNull: (name: string) => facts.get(name) ?? null,
    note: (name: string, value: unknown) => facts.set(name, value),
  } as unknown as StepContext<CaptureFacts>;
  return { context, facts, copy: copies[0]?.path ?? '' };
}

const { context, facts, copy } = capture();
const root = (): { mode: number; time: number } => {
  const { mode, mtimeMs } = statSync(disk.path);
  return { mode: mode & 0o7777, time: mtimeMs };
};

test('its time is what it was, whether or not there was a copy', async () => {
  for (const hasCopy of [true, false]) {
    utimesSync(disk.path, T0, T0);
    await prepareCopies(context);
    assert.equal(root().time, T0.getTime());
    if (hasCopy) mkdirSync(copy);
    await removeCopies(context);
    assert.equal(root().time, T0.getTime());
    assert.deepEqual(readdirSync(disk.path), []);
  }
});

test('what others changed of it meanwhile stays', async () => {
  utimesSync(disk.path, T0, T0);
  await prepareCopies(context);
  mkdirSync(copy);
  chmodSync(disk.path, 0o1770);
  writeFileSync(join(disk.path, 'new'), '');
  const changed = root();
  assert.notEqual(changed.time, T0.getTime());
  await removeCopies(context);
  assert.deepEqual(root(), changed);
});

test('a crash between making the directory and putting the time back shows in nothing', async () => {
  utimesSync(disk.path, T0, T0);
  await prepareCopies(context);
  utimesSync(disk.path, new Date(), new Date());
  await removeCopies(context);
  await removeCopies(context);
  assert.equal(root().time, T0.getTime());
});

test('what others changed while a copy of many files was removed stays', async () => {
  await prepareCopies(context);
  mkdirSync(copy);
  for (let file = 0; file < 5000; file += 1) writeFileSync(join(copy, `${file}`), '');
  utimesSync(disk.path, T0, T0);
  const removed = removeCopies(context);
  await yieldToOthers();
  writeFileSync(join(disk.path, 'meanwhile'), '');
  const changed = root();
  assert.ok(readdirSync(copy).length > 0, 'it was still being removed');
  await removed;
  assert.deepEqual(root(), changed);
});

test('what others changed after the copies were removed stays, also when the capture is taken back', async () => {
  utimesSync(disk.path, T0, T0);
  await prepareCopies(context);
  mkdirSync(copy);
  facts.set('copy', { copied: true });
  await removeCopies(context);
  writeFileSync(join(disk.path, 'later'), '');
  const changed = root();
  await removeCopies(context);
  assert.deepEqual(root(), changed);
});
