/**
 * The agent is killed with SIGKILL at every named point of a restore of two volumes, then `refloat-agent recover` runs
 * without the database. Afterwards both volumes are old or both are new, byte for byte with owners and times; the container
 * runs on its image with its restart policy; nothing is left behind; and what is reported is what is on the disk.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { startStack } from '../helpers/stack.ts';
import { twoVolumes, type Version } from '../helpers/two-volumes.ts';

const NO_DATABASE = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none' };
/** Fewer would mean that points were lost on the way, not that the saga got shorter. */
const AT_LEAST = 60;

const engine = await testEngine();
const stack = await startStack(engine);
const trace = join(stack.stateDir, 'trace');
engine.removeAllAtEnd();

const setUp = await stack.startAgent();
const workload = await twoVolumes(stack, engine);
await setUp.stop();

const other = (version: Version): Version => (version === 'one' ? 'two' : 'one');

/** The points that an undisturbed restore passes, in order. */
async function pointsOfRestore(): Promise<string[]> {
  const agent = await stack.startAgent({ REFLOAT_CRASH_TRACE: trace });
  const finished = await stack.finished(await workload.restore(other(workload.version())));
  assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
  await agent.stop();
  // Deliveries to the database run beside the saga, so where they fall is not the same each time; they have tests of their own.
  const points = readFileSync(trace, 'utf8')
    .trim()
    .split('\n')
    .filter((point) => !point.startsWith('deliver'));
  rmSync(trace);
  return points;
}

async function assertRecorded({ id, wanted, point }: { id: string; wanted: Version; point: string }): Promise<void> {
  const { state, result, error } = await stack.finished(id);
  assert.equal(state === 'succeeded', workload.version() === wanted, `${point}: recorded as ${state}`);
  if (state === 'succeeded') assert.ok(result.preRestoreSnapshotId, `${point}: no pre-restore snapshot`);
  else assert.equal(error.code, 'INTERRUPTED', point);
}

// Here, so that each point is a test with a name and a limit of its own.
const points = await pointsOfRestore();
const outcomes = { old: 0, new: 0 };
let last: { id: string; wanted: Version; point: string } | null = null;

test('a restore passes at least as many points as when they were counted', (t) => {
  t.diagnostic(`${points.length} points`);
  assert.ok(points.length >= AT_LEAST, `${points.length} points`);
});

for (const point of points)
  test(`killed at ${point} of a restore: all old or all new, and nothing left behind`, async (t) => {
    const agent = await stack.startAgent({ REFLOAT_CRASH_AT: point });
    t.after(() => agent.stop());
    // This agent tells the database what the one before it came to.
    const previous = last;
    last = null;
    if (previous !== null) await assertRecorded(previous);
    const before = workload.version();
    const wanted = other(before);
    const id = await workload.restore(wanted);
    const { signal } = await agent.exited;
    assert.equal(signal, 'SIGKILL', `it was not reached: ${agent.log()}`);

    const recovered = await stack.agent(['recover'], NO_DATABASE);
    const now = await workload.judge(recovered);
    outcomes[now === before ? 'old' : 'new'] += 1;
    const told = recovered.json.intents.find((intent: { intentId: string }) => intent.intentId === id);
    if (told !== undefined) assert.equal(told.state === 'succeeded', now === wanted, `told ${told.state}`);
    const ended = { id, wanted, point };
    if (!point.endsWith(':begin#1')) {
      last = ended;
      return;
    }
    // Nothing was begun, or nothing durably: the next agent begins it anew, or says that it was interrupted.
    const next = await stack.startAgent();
    t.after(() => next.stop());
    await assertRecorded(ended);
  });

test('the kills lie on both sides of the commit point', (t) => {
  t.diagnostic(`${points.length} kills: ${outcomes.old} ended old, ${outcomes.new} ended new`);
  assert.ok(outcomes.old > 10 && outcomes.new > 10);
});
