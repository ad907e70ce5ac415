/** Postgres goes away while a restore runs: the restore ends on the host, and the database hears all of it when it is back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { testEngine } from '../helpers/engine.ts';
import { startStack } from '../helpers/stack.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);

/** A way to the database that can be cut and mended, between the agent and the server. */
async function cuttable(target: { host: string; port: number }) {
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let port = 0;
  const open = async () => {
    server = createServer((socket) => {
      const upstream = connect(target.port, target.host);
      for (const [from, to] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  };
  await open();
  return {
    port: () => port,
    open,
    cut: () => {
      server?.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('a restore whose database is cut off in the middle ends on the host, and is recorded in order and once', async () => {
  const { databaseUrl } = JSON.parse(readFileSync(join(stack.stateDir, 'agent.json'), 'utf8'));
  const url = new URL(databaseUrl);
  const way = await cuttable({ host: url.hostname, port: Number(url.port) });
  after(way.cut);
  url.hostname = '127.0.0.1';
  url.port = String(way.port());
  const agent = await stack.startAgent({ REFLOAT_AGENT_DATABASE_URL: url.href });
  const { id, name } = await stack.createWorkload({
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data' }],
    health: { graceSeconds: 2, timeoutSeconds: 20 },
  });
  const which = join(stack.volumeBase, 'p', 'data', 'which');
  const post = async (path: string) =>
    (await stack.call('POST', path, { body: {}, headers: { 'x-confirm-restore': name } })).body;
  await stack.finished((await post(`/api/workloads/${id}/deploy`)).id);
  writeFileSync(which, 'good');
  const { result } = await stack.finished((await post(`/api/workloads/${id}/snapshots`)).id);
  writeFileSync(which, 'bad');

  const intent = await post(`/api/workloads/${id}/snapshots/${result.snapshotId}/restore`);
  const passed = ['quiesce', 'swap', 'redeploy', 'health', 'preserve'];
  for (;;) {
    const { state, step, error } = (await stack.call('GET', `/api/intents/${intent.id}`)).body;
    assert.ok(
      ['pending', 'claimed', 'running'].includes(state),
      `it ended too early: ${state} ${JSON.stringify(error)}`,
    );
    if (passed.includes(step)) break;
    await delay(5);
  }
  way.cut();
  for (const deadline = Date.now() + 60_000; ; await delay(50)) {
    const { json } = await stack.agent(['status']);
    const journal = json.journals.find((one: { intentId: string }) => one.intentId === intent.id);
    assert.ok(
      json.lease.some((one: { intentId: string }) => one.intentId === intent.id),
      'its lease is not shown',
    );
    if (journal?.state === 'succeeded') break;
    assert.ok(Date.now() < deadline, 'the restore did not end without the database');
  }
  assert.equal(readFileSync(which, 'utf8'), 'good');
  assert.equal(
    (await stack.call('GET', `/api/intents/${intent.id}`)).body.state,
    'running',
    'the database does not know yet',
  );

  await way.open();
  const finished = await stack.finished(intent.id);
  assert.equal(finished.state, 'succeeded');
  const response = await fetch(`${stack.url}/api/intents/${intent.id}/events`, {
    headers: { authorization: `Bearer ${stack.token}` },
  });
  const numbers = [...(await response.text()).matchAll(/^id: ?(\d+)$/gm)].map(([, number]) => Number(number));
  assert.ok(numbers.length > 15);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
    'in order, each once',
  );
  await agent.stop();
});
