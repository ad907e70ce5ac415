/**
 * The disk fails while the workload is down: that of the state directory as a whole, so that the journal takes no record, or that of the
 * snapshots alone, so that what was half made cannot be removed. As long as nobody has begun to change the data, the containers run again
 * all the same; and recovery, once the disk works, takes back the rest.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { readJournal } from '../../agent/restore/journal-dir.ts';
import { newId } from '../../db/ids.ts';
import { type LoopFileSystem, mountLoop } from '../helpers/loop-fs.ts';
import type { Change } from './bundle.ts';
import type { Field } from './field.ts';
import { Hosts, loadAgent } from './hosts.ts';
import type { Told } from './work.ts';

const directory = mkdtempSync(join(tmpdir(), 'rf-disk-fails-'));
/** As where there is no room for copies: the archives are written while the containers stand still. */
const NO_COPIES: Change = {
  file: 'agent/capture/steps/copy.ts',
  from: "context.fact('check_disk').copies.length === 0",
  to: "context.fact('check_disk').copies.length >= 0",
};
const agent = await loadAgent(directory, [NO_COPIES]);
const hosts = new Hosts(directory, agent);
after(async () => {
  await hosts.close();
  rmSync(directory, { recursive: true, force: true });
});
const SNAPSHOTS_BYTES = 64 * 1024 * 1024;
const FREEZES = ['stop', 'pause'] as const;

const restoreOf = (field: Field): ClaimedIntent => JSON.parse(readFileSync(field.intentFile, 'utf8')) as ClaimedIntent;

function captureOf(field: Field, freeze: (typeof FREEZES)[number]): ClaimedIntent {
  const { workload, ...rest } = restoreOf(field);
  const config = { ...workload.config, capture: { ...workload.config.capture, freeze } };
  return { ...rest, id: newId(), kind: 'capture', snapshot: null, workload: { ...workload, config } };
}

/** Numbers of the changes that an undisturbed run makes from its first call of this name on, to its end. */
async function changesFrom(field: Field, intent: ClaimedIntent, call: string): Promise<number[]> {
  field.reset();
  agent.arm(0, () => undefined);
  await agent.inProcess(field.environment, intent);
  const calls = agent.callsSoFar();
  const first = calls.indexOf(call);
  assert.ok(first >= 0, `it never called ${call}`);
  return calls.flatMap((_, index) => (index < first ? [] : [index + 1]));
}

const every = (many: number, changes: readonly number[]): number[] => changes.filter((_, index) => index % many === 0);

/** Null when it came to no end of its own. */
const run = (field: Field, intent: ClaimedIntent | null): Promise<Told | null> =>
  agent.inProcess(field.environment, intent).catch(() => null);

/** Every change of the file system fails from the n-th on, and none of the engine. */
function failDisk(n: number, code: string, which = /^(?!engine:)/): void {
  agent.arm(
    n,
    (call) => {
      if (which.test(call)) throw Object.assign(new Error(`${code}: ${call}`), { code });
    },
    true,
  );
}

function runsAsBefore(field: Field, what: string): void {
  const describe = ({ name, state, policy }: Field['containers'][number]) => `${name} ${state} ${policy.Name}`;
  assert.deepEqual(field.daemon.containers.map(describe), field.containers.map(describe), what);
}

async function mountedAt(place: string, disk: LoopFileSystem, work: () => Promise<void>): Promise<void> {
  execFileSync('mount', ['--bind', disk.path, place]);
  try {
    await work();
  } finally {
    execFileSync('umount', [place]);
  }
}

/** The disk works again. */
async function takenBack(field: Field, what: string): Promise<void> {
  agent.arm(0, () => undefined);
  const told = await agent.inProcess(field.environment, null);
  for (const { outcome } of told.intents) assert.notEqual(outcome.state, 'stuck', `${what}: ${outcome.error?.message}`);
  runsAsBefore(field, `${what}, recovered`);
  const half = readdirSync(join(field.stateDir, 'snapshots')).filter((name) => name.startsWith('.'));
  assert.deepEqual(half, [], what);
}

for (const freeze of FREEZES) {
  test(`the state directory fails in a capture with freeze "${freeze}", from any change on`, async (t) => {
    const { field } = await hosts.of('tmpfs', 'two');
    const changes = await changesFrom(field, captureOf(field, freeze), `engine:${freeze}`);
    t.diagnostic(`${changes.length} changes`);
    for (const n of every(3, changes)) {
      field.reset();
      failDisk(n, n % 2 === 0 ? 'EIO' : 'EROFS');
      await run(field, captureOf(field, freeze));
      runsAsBefore(field, `from change ${n} on`);
      await takenBack(field, `from change ${n} on`);
    }
  });

  test(`the agent dies in a capture with freeze "${freeze}", and the next one finds a full disk`, async () => {
    const { field } = await hosts.of('tmpfs', 'two');
    const intent = captureOf(field, freeze);
    const [, , died = 0] = await changesFrom(field, intent, `engine:${freeze}`);
    let wasRecovered = 0;
    for (let n = 1; n <= 14; n++) {
      field.reset();
      failDisk(died, 'EIO', /^/);
      await run(field, intent);
      failDisk(n, 'ENOSPC', /^(write|mkdir)$/);
      // Without room for its lock it does not start.
      if ((await run(field, null)) === null) continue;
      wasRecovered += 1;
      runsAsBefore(field, `from change ${n} of recovery on`);
      await takenBack(field, `from change ${n} of recovery on`);
    }
    assert.ok(wasRecovered > 7, `${wasRecovered} recoveries`);
  });

  test(`the disk of the snapshots fails in a capture with freeze "${freeze}"`, async (t) => {
    const { field } = await hosts.of('tmpfs', 'two');
    const store = join(field.stateDir, 'snapshots');
    const changes = await changesFrom(field, captureOf(field, freeze), `engine:${freeze}`);
    mkdirSync(join(directory, freeze));
    const disk = mountLoop('ext4', SNAPSHOTS_BYTES, { folder: join(directory, freeze) });
    let stuck = 0;
    try {
      for (const n of every(6, changes)) {
        await mountedAt(store, disk, async () => {
          field.reset();
          execFileSync('sync', ['-f', store]);
          agent.arm(n, () => disk.shutDown());
          const told = await run(field, captureOf(field, freeze));
          if (told?.intents[0]?.outcome.state === 'stuck') stuck += 1;
          runsAsBefore(field, `from change ${n} on`);
        });
        await disk.remount();
        await mountedAt(store, disk, () => takenBack(field, `from change ${n} on`));
      }
    } finally {
      disk.unmount();
    }
    t.diagnostic(`${stuck} were stuck meanwhile`);
    assert.ok(stuck > 0, 'what was half made could always be removed');
  });
}

test('the state directory fails in a restore: until the exchange is begun the containers run again', async () => {
  const { field } = await hosts.of('tmpfs', 'two');
  const intent = restoreOf(field);
  let [before, behind] = [0, 0];
  for (const n of await changesFrom(field, intent, 'engine:stop')) {
    field.reset();
    failDisk(n, 'EROFS');
    await run(field, intent);
    const { state } = readJournal(field.stateDir, intent.id);
    if (state?.started.includes('swap') === true) {
      behind += 1;
    } else {
      before += 1;
      runsAsBefore(field, `from change ${n} on`);
    }
    await takenBack(field, `from change ${n} on`);
    if (behind > 10) break;
  }
  assert.ok(before > 0 && behind > 0, `${before} before, ${behind} behind`);
});
