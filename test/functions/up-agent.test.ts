/** `refloat up` with its agent, on the engine of this test run. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from '../helpers/control-plane.ts';
import { testEngine } from '../helpers/engine.ts';
import { startRefloat } from '../helpers/refloat.ts';

const { dockerHost } = await testEngine();
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-up-agent-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

const stateDir = path.join(base, 'state');
const agentPid = (): number =>
  (JSON.parse(fs.readFileSync(path.join(stateDir, 'agent.pid'), 'utf8')) as { pid: number }).pid;
const lives = (pid: number): boolean =>
  fs.existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));

async function seenAfter(origin: string, token: string, moment: string | null): Promise<string> {
  for (;;) {
    const answer = await call({ origin }, 'GET', '/api/hosts', { token });
    const [host] = answer.body.hosts;
    if (host.agentSeenAt !== null && host.agentSeenAt !== moment && host.engineVersion !== null)
      return host.agentSeenAt;
    await delay(50);
  }
}

const pidAfter = async (old: number): Promise<number> => {
  for (;;) {
    try {
      const pid = agentPid();
      if (pid !== old && lives(pid)) return pid;
    } catch {
      // Between two agents there is no such file.
    }
    await delay(50);
  }
};

test('the agent is enrolled, started again when it is killed, replaced after up was killed, and stopped with it', async () => {
  const env = { DOCKER_HOST: dockerHost, REFLOAT_VOLUME_BASE: path.join(base, 'volumes') };
  const args = ['up', '--port', '0', '--state-dir', stateDir, '--json'];
  const first = await startRefloat(args, env);
  assert.equal(first.ready.enrollmentToken, null, 'nothing is left that could take its credential away');
  const seen = await seenAfter(first.ready.url, first.ready.adminToken, null);
  assert.equal(fs.statSync(path.join(stateDir, 'agent/agent.json')).mode & 0o777, 0o600);
  const environ = fs.readFileSync(`/proc/${agentPid()}/environ`, 'utf8');
  assert.doesNotMatch(
    environ,
    /REFLOAT_(DATABASE_URL|SIGNING_KEYS|AGENT_DATABASE_URL|TOKEN)=/,
    'no secret of the control plane',
  );

  const killed = agentPid();
  process.kill(killed, 'SIGKILL');
  const second = await pidAfter(killed);
  await seenAfter(first.ready.url, first.ready.adminToken, seen);

  first.kill('SIGKILL');
  await first.exited;
  assert.ok(lives(second), 'an agent finishes what it does, also when up was killed');
  const again = await startRefloat(args, env);
  assert.ok(!lives(second), 'the one left behind has ended');
  assert.equal(again.ready.hostId, first.ready.hostId);
  await seenAfter(again.ready.url, again.ready.adminToken, seen);
  const last = agentPid();
  assert.deepEqual(await again.stop(), { code: 0, signal: null });
  assert.ok(!lives(last));
  assert.ok(!fs.existsSync(path.join(stateDir, 'agent.pid')));
});
