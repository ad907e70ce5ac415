/**
 * The power goes at a named point of a restore: the agent is killed and the file system with the host's state and volumes is
 * shut down without flushing its log, so that only what was synced is there afterwards. A missing fsync of the journal, of a
 * directory or of the staged tree shows here and nowhere else.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { mountLoop } from '../helpers/loop-fs.ts';
import { startStack } from '../helpers/stack.ts';
import { twoVolumes } from '../helpers/two-volumes.ts';

const engine = await testEngine();
engine.removeAllAtEnd();

const POINTS = [
  'journal-after:begin#1',
  'journal-after:done:stage#1',
  'journal-after:note:containers#1',
  'journal-after:done:quiesce#1',
  'journal-after:note:exchanges#1',
  'journal-after:commit#1',
  'swap-after:first#1',
  'swap-after:second#1',
  'journal-after:done:swap#1',
  'journal-after:done:redeploy#1',
  'snapshot:before-publish#1',
  'journal-after:done:preserve#1',
  'journal-after:outcome#1',
];

for (const type of ['ext4', 'xfs'] as const) {
  test(`power lost on ${type} at every stage of a restore: all old or all new, and nothing left behind`, async () => {
    const disk = mountLoop(type, 400 * 1024 * 1024);
    after(() => disk.unmount());
    const stack = await startStack(engine, { hostRoot: disk.path });
    const setUp = await stack.startAgent();
    const workload = await twoVolumes(stack, engine);
    await setUp.stop();
    const containers = async () =>
      (await engine.mine()).filter((one) => one.labels['refloat.workload'] === workload.id);
    for (const point of type === 'ext4' ? POINTS : POINTS.slice(2, 9)) {
      const agent = await stack.startAgent({ REFLOAT_CRASH_AT: point });
      const before = workload.version();
      // What the application wrote before is on the disk, as it is after a few seconds.
      execFileSync('sync', ['-f', disk.path]);
      await workload.restore(before === 'one' ? 'two' : 'one');
      assert.equal((await agent.exited).signal, 'SIGKILL', point);
      const ran = (await containers()).filter((one) => one.active);
      await disk.powerCut(async () => {
        for (const one of await containers()) await engine.engine.stop(one.id, 0);
      });
      // The host starts again: the engine starts what has a restart policy, before the agent.
      for (const one of ran) await engine.engine.start(one.id);
      const recovered = await stack.agent(['recover']);
      await workload.judge(recovered).catch((error: Error) => {
        throw new Error(`after a power cut at ${point}: ${error.message}`, { cause: error });
      });
      const next = await stack.startAgent();
      await stack.settled(workload.id);
      await next.stop();
    }
    for (const one of await containers()) await engine.engine.stop(one.id, 0);
  });
}
