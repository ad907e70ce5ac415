import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { mint } from '../../helpers/control-plane.ts';
import { handStage } from '../../helpers/hand.ts';
import { startRefloat } from './run-refloat.ts';

const { plane, hand, workloadName } = await handStage();
const { jwt } = await mint(plane);

/** A connection between client and server that can be cut. */
async function cuttable(): Promise<{ url: string; cut(): void; refuse(now: boolean): void }> {
  const sockets = new Set<Socket>();
  let refusing = false;
  const server = createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const upstream = connect(Number(new URL(plane.origin).port), '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  after(() => {
    cut();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    refuse: (now) => {
      refusing = now;
    },
  };
}

test('a stream that breaks is resumed: every step is told once, and the outcome is not lost', async () => {
  const network = await cuttable();
  const running = startRefloat(['capture', workloadName, '--wait'], {
    REFLOAT_PUBLIC_URL: network.url,
    REFLOAT_TOKEN: jwt,
  });
  const capture = await hand.claim();
  await capture.run(['preflight', 11]);
  await running.said('preflight');
  network.cut();
  await capture.run(['freeze', 22]);
  await running.said('freeze');
  network.refuse(true);
  network.cut();
  await running.said('connection lost');
  await capture.run(['archive', 33]);
  network.refuse(false);
  await running.said('archive');
  await capture.finish({ state: 'succeeded', result: { downtimeMs: 5 } });
  const { code, stderr, stdout } = await running.ended;
  assert.equal(code, 0);
  for (const step of ['preflight', 'freeze', 'archive']) assert.equal(stderr.split(`  ${step} `).length - 1, 1, stderr);
  assert.match(stdout, /capture of shop-db succeeded/);
});

test('what a host says cannot move the cursor or change colours', async () => {
  const running = startRefloat(['capture', workloadName, '--wait'], {
    REFLOAT_PUBLIC_URL: plane.origin,
    REFLOAT_TOKEN: jwt,
  });
  const capture = await hand.claim();
  await capture.emit('warning', { message: 'skipped \u001b[2J\u001b]0;owned\u0007 \u202e' });
  await capture.finish({
    state: 'failed',
    error: { code: 'HOOK_FAILED', message: 'said \u001b[31mred\u001b[0m\r', hint: '\u009b1m', disposition: 'fail' },
  });
  const { stderr, stdout } = await running.ended;
  assert.doesNotMatch(stderr + stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  assert.match(stderr, /skipped \\x1b\[2J/);
});
