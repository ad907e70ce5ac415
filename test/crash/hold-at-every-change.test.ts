/**
 * The end of an undo window is cut before every change that it makes, or one of them fails; then the restore is undone. What is live
 * afterwards is the state before the restore, whole, whether from the previous trees or from their snapshot; and nothing stays behind.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ClaimedIntent, SnapshotRef } from '../../agent/intents/claimed-intent.ts';
import { readJournals } from '../../agent/restore/journal-dir.ts';
import { readSnapshotDirectory } from '../../agent/snapshots/read-manifest.ts';
import { type DiskType, type Host, Hosts, loadAgent } from './hosts.ts';
import { judge } from './oracle.ts';
import type { Scenario } from './scenarios.ts';

const ROOT_TIME_MOVES = /: \.: mtime /;
const DAY_MS = 86_400_000;
const LATER = new Date(Date.now() + 2 * DAY_MS);
const MUCH_LATER = new Date(Date.now() + 4 * DAY_MS);

const directory = mkdtempSync(join(tmpdir(), 'refloat-hold-cut-'));
const agent = await loadAgent(directory, []);
const hosts = new Hosts(directory, agent);
after(async () => {
  await hosts.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The undo of a host's intent, as the control plane gives it: with the snapshot, too. */
function undoOf({ field }: Host): ClaimedIntent {
  const intent = JSON.parse(readFileSync(field.intentFile, 'utf8')) as ClaimedIntent;
  assert.ok(intent.undoOf !== null);
  const { intentId } = intent.undoOf;
  const result = readJournals(field.stateDir).find((entry) => entry.intentId === intentId)?.state?.outcome?.result;
  const { manifest, manifestSha256 } = readSnapshotDirectory(result?.preRestoreSnapshotPath ?? '');
  const preRestoreSnapshot: SnapshotRef = {
    id: manifest.id,
    workloadId: intent.workload.id,
    kind: 'pre-restore',
    manifestSha256,
  };
  return { ...intent, undoOf: { intentId, preRestoreSnapshot } };
}

/** Ends the window up to its n-th change; false when it made fewer. */
async function endUpTo({ field, disk }: Host, n: number, { isCut }: { isCut: boolean }): Promise<boolean> {
  let wasHit = false;
  agent.arm(
    n,
    () => {
      if (!wasHit && isCut) disk?.shutDown();
      wasHit = true;
      throw Object.assign(new Error('it is over'), { code: 'EIO' });
    },
    isCut,
  );
  await agent.endHolds(field.environment, LATER).catch((error: unknown) => {
    if (!wasHit) throw error;
  });
  agent.arm(0, () => undefined);
  if (disk !== null && isCut) {
    if (!wasHit) disk.shutDown();
    field.unmountVolume();
    await disk.remount();
    field.mountVolume();
  }
  return wasHit;
}

/** After a release that was cut: the undo, and then the end of every window. */
async function undoAndEnd(host: Host, what: string, { isRecovered }: { isRecovered: boolean }): Promise<void> {
  const { field } = host;
  if (isRecovered) await agent.inProcess(field.environment, null);
  const told = await agent.inProcess(field.environment, undoOf(host));
  const { violations, ended } = judge(field, { told, isFaultless: true });
  const wrong = violations.filter(
    (violation) =>
      // What is left of the first release is finished with the next housekeeping.
      !(violation.startsWith('left behind') && !isRecovered) &&
      // Removing the agent's directory from a mount point moves the time of its root until the next call.
      !(field.scenario === 'undo-mount' && ROOT_TIME_MOVES.test(violation)),
  );
  assert.deepEqual([wrong, ended], [[], 'new'], what);
  await agent.endHolds(field.environment, MUCH_LATER);
  assert.deepEqual(field.privateDirectories(), [], what);
  assert.equal(field.version(), field.wanted, what);
}

async function sweep(type: DiskType, scenario: Scenario, { isCut, step = 1 }: { isCut: boolean; step?: number }) {
  const host = await hosts.of(type, scenario);
  let n = 1;
  for (; ; n += step) {
    host.field.reset();
    const wasHit = await endUpTo(host, n, { isCut });
    await undoAndEnd(host, `${type} ${scenario}, ${isCut ? 'cut' : 'failed'} at ${n}`, { isRecovered: n % 2 === 0 });
    if (!wasHit) break;
  }
  assert.ok(n > 20, `a release makes more changes than ${n}`);
}

test('one volume: everything ends before a change', () => sweep('tmpfs', 'undo-one', { isCut: true }));
test('one volume: one change fails', () => sweep('tmpfs', 'undo-one', { isCut: false }));
test('two volumes: everything ends before a change', () => sweep('tmpfs', 'undo', { isCut: true }));
test('two volumes: one change fails', () => sweep('tmpfs', 'undo', { isCut: false, step: 5 }));
test('a mount point: everything ends before a change', () => sweep('tmpfs', 'undo-mount', { isCut: true, step: 3 }));
test('a mount point: one change fails', () => sweep('tmpfs', 'undo-mount', { isCut: false, step: 5 }));
test('two volumes: the power fails before a change', () => sweep('ext4', 'undo', { isCut: true, step: 9 }));
