/**
 * The agent is killed with SIGKILL at every named point of a restore of two volumes, then `refloat-agent recover` runs
 * without the database. Afterwards both volumes are old or both are new, byte for byte with owners and times; the container
 * runs on its image with its restart policy; nothing is left behind; and what is reported is what is on the disk.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { startStack } from '../helpers/stack.ts';
import { twoVolumes } from '../helpers/two-volumes.ts';

const NO_DATABASE = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none' };
/** Fewer would mean that points were lost on the way, not that the saga got shorter. */
const AT_LEAST = 60;

const engine = await testEngine();
const stack = await startStack(engine);
const trace = join(stack.stateDir, 'trace');
after(() => engine.removeAll());

const setUp = await stack.startAgent();
const workload = await twoVolumes(stack, engine);
await setUp.stop();

const other = (version: 'one' | 'two') => (version === 'one' ? 'two' : 'one');

/** The points that an undisturbed restore passes, in order. */
async function pointsOfRestore(): Promise<string[]> {
  const agent = await stack.startAgent({ REFLOAT_CRASH_TRACE: trace });
  const finished = await stack.finished(await workload.restore(other(workload.version())));
  assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
  await agent.stop();
  const points = readFileSync(trace, 'utf8').trim().split('\n');
  rmSync(trace);
  return points;
}

test('killed at every point of a restore: all old or all new, and nothing left behind', async (t) => {
  const points = await pointsOfRestore();
  t.diagnostic(`${points.length} points: ${points.join(' ')}`);
  assert.ok(points.length >= AT_LEAST, `${points.length} points`);
  const outcomes = { old: 0, new: 0 };
  for (const point of points) {
    const before = workload.version();
    const wanted = other(before);
    const agent = await stack.startAgent({ REFLOAT_CRASH_AT: point });
    const intentId = await workload.restore(wanted);
    const { signal } = await agent.exited;
    assert.equal(signal, 'SIGKILL', `${point} was not reached: ${agent.log()}`);

    const recovered = await stack.agent(['recover'], NO_DATABASE);
    const now = await workload.judge(recovered).catch((error: Error) => {
      throw new Error(`after a kill at ${point}: ${error.message}`, { cause: error });
    });
    outcomes[now === before ? 'old' : 'new'] += 1;
    const told = recovered.json.intents.find((intent: { intentId: string }) => intent.intentId === intentId);
    if (told !== undefined) assert.equal(told.state === 'succeeded', now === wanted, `${point}: told ${told.state}`);

    // The database hears the same as soon as an agent runs; an intent of which nothing was begun is begun then.
    const next = await stack.startAgent();
    const finished = await stack.finished(intentId);
    await next.stop();
    assert.equal(
      finished.state === 'succeeded',
      workload.version() === wanted,
      `${point}: recorded as ${finished.state}`,
    );
    if (finished.state === 'succeeded')
      assert.ok(finished.result.preRestoreSnapshotId, `${point}: no pre-restore snapshot`);
    else assert.equal(finished.error.code, 'INTERRUPTED');
  }
  t.diagnostic(`${points.length} kills: ${outcomes.old} ended old, ${outcomes.new} ended new`);
  assert.ok(outcomes.old > 10 && outcomes.new > 10, 'kills on both sides of the commit point');
});
