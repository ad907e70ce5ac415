/** What cannot be decided: nothing is deleted, everybody is told, and a person brings it to an end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { waitFor } from '../helpers/host.ts';
import { restorable } from '../helpers/restorable.ts';
import { startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const NO_DATABASE = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none' };

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);

let made = 0;

/** A restore whose agent was killed right after the commit point, before anything was exchanged. */
async function killedAtCommit() {
  const source = `case-${++made}/data`;
  const agent = await stack.startAgent();
  const volumes = [{ name: 'data', scope: 'project' as const, source, target: '/volumes/data' }];
  const workload = await restorable(stack, { volumes, restart: 'always' });
  const live = join(stack.volumeBase, 'p', source);
  writeFileSync(join(live, 'which'), 'good');
  const snapshot = await workload.capture();
  writeFileSync(join(live, 'which'), 'bad');
  await agent.stop();
  const killed = await stack.startAgent({ REFLOAT_CRASH_AT: 'swap-before:data#1' });
  const id = await workload.begin(snapshot);
  assert.equal((await killed.exited).signal, 'SIGKILL', killed.log());
  const staging = join(live, '..', `.refloat-${id}`, 'data');
  return { workload, live, staging, snapshot, id, journal: join(stack.stateDir, 'journal', `${id}.jsonl`) };
}

async function container(workloadId: string) {
  const [one] = (await engine.mine()).filter((each) => each.labels['refloat.workload'] === workloadId);
  return one;
}

/** Waits until it is told to have come to this end; it is told to be stuck before. */
async function ended(id: string, state: string) {
  const { body } = await waitFor(
    () => stack.call('GET', `/api/intents/${id}`),
    (answer) => answer.body.state === state,
    60_000,
  );
  return body;
}

test('stuck deletes nothing and says so everywhere; what was moved back goes on, what a person keeps ends it', async () => {
  const { workload, live, staging, id, snapshot } = await killedAtCommit();
  // Somebody replaced the live directory by a copy: neither the old nor the new inode.
  execFileSync('bash', [
    '--norc',
    '-c',
    'cp -a "$1" "$1.copy"; mv "$1" "$1.original"; mv "$1.copy" "$1"',
    'bash',
    live,
  ]);
  const trees = [live, staging, `${live}.original`].map((path) => snapshotTree(path));

  const stuck = await stack.agent(['recover'], NO_DATABASE);
  assert.equal(stuck.code, 5);
  assert.equal(stuck.json.intents[0].error.code, 'STATE_UNDECIDABLE');
  assert.match(stuck.json.intents[0].error.message, /expected the inodes/);
  for (const [index, path] of [live, staging, `${live}.original`].entries())
    assert.deepEqual(compareTrees(trees[index] ?? new Map(), snapshotTree(path)), [], path);
  const { json } = await stack.agent(['status']);
  const told = json.journals.find((one: { intentId: string }) => one.intentId === id);
  assert.deepEqual([told.state, told.error.code], ['stuck', 'STATE_UNDECIDABLE']);
  assert.match(told.error.hint, new RegExp(`resolve ${id} --keep`));
  assert.equal((await container(workload.id))?.state, 'exited', 'nothing runs on it');

  let agent = await stack.startAgent();
  assert.equal((await stack.finished(id)).state, 'stuck');
  const { status, body } = await stack.call('POST', `/api/workloads/${workload.id}/snapshots/${snapshot}/restore`, {
    headers: { 'x-confirm-restore': workload.name },
  });
  assert.deepEqual([status, body.code], [409, 'WORKLOAD_STUCK']);
  const planned = await stack.refloat(['plan', workload.name, snapshot]);
  assert.equal(planned.code, 3, 'a plan says what a restore would say');
  assert.equal(planned.json.intent.result.plan.refusals[0].code, 'WORKLOAD_STUCK');
  const busy = await stack.agent(['resolve', id, '--keep']);
  assert.deepEqual([busy.code, busy.json.error.code], [2, 'AGENT_RUNNING']);
  await agent.stop();

  assert.equal((await stack.agent(['resolve', id])).code, 2, 'not without saying what to do');
  const kept = await stack.agent(['resolve', id, '--keep'], NO_DATABASE);
  assert.equal(kept.code, 0, kept.stderr);
  assert.deepEqual([kept.json.state, kept.json.left[0].previous], ['failed', staging]);
  for (const [index, path] of [live, staging, `${live}.original`].entries())
    assert.deepEqual(compareTrees(trees[index] ?? new Map(), snapshotTree(path)), [], path);
  const now = await container(workload.id);
  assert.deepEqual([now?.state, now?.restartPolicy.name], ['running', 'always']);
  assert.equal((await stack.agent(['resolve', id, '--keep'])).json.error.code, 'ALREADY_FINISHED');

  agent = await stack.startAgent();
  assert.equal((await ended(id, 'failed')).error.code, 'RESOLVED');
  await workload.restored(snapshot);
  assert.equal(readFileSync(join(live, 'which'), 'utf8'), 'good');
  await agent.stop();
});

test('moved back to where it was, recovery goes on to its end', async () => {
  const { workload, live, id } = await killedAtCommit();
  renameSync(live, `${live}.elsewhere`);
  execFileSync('cp', ['-a', `${live}.elsewhere`, live]);
  assert.equal((await stack.agent(['recover'], NO_DATABASE)).code, 5);
  renameSync(live, `${live}.copy`);
  renameSync(`${live}.elsewhere`, live);
  const recovered = await stack.agent(['recover'], NO_DATABASE);
  assert.deepEqual([recovered.code, recovered.json.intents[0].state], [0, 'succeeded'], recovered.stderr);
  assert.equal(readFileSync(join(live, 'which'), 'utf8'), 'good');
  assert.equal((await container(workload.id))?.state, 'running');
  const agent = await stack.startAgent();
  await ended(id, 'succeeded');
  await agent.stop();
});

test('a journal that cannot be read is put aside, and the workload takes new intents', async () => {
  const { workload, live, id, journal, snapshot } = await killedAtCommit();
  const bytes = readFileSync(journal);
  bytes[bytes.indexOf('"started"') + 2] = 0x58;
  writeFileSync(journal, bytes);
  const stuck = await stack.agent(['recover'], NO_DATABASE);
  assert.equal(stuck.code, 5);
  const damaged = stuck.json.intents.find((one: { intentId: string }) => one.intentId === id);
  assert.equal(damaged.error.code, 'JOURNAL_DAMAGED');
  const before = readdirSync(join(live, '..'));
  const kept = await stack.agent(['resolve', id, '--keep'], NO_DATABASE);
  assert.equal(kept.code, 0, kept.stderr);
  assert.ok(existsSync(kept.json.journal) && !existsSync(journal));
  assert.deepEqual(readdirSync(join(live, '..')), before);
  const agent = await stack.startAgent();
  assert.equal((await ended(id, 'failed')).error.code, 'RESOLVED');
  await workload.succeed('deploy');
  await workload.restored(snapshot);
  assert.equal((await container(workload.id))?.state, 'running');
  await agent.stop();
});
