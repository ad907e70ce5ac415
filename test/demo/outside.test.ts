import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilServed, watch } from './outside.ts';

const never = new AbortController().signal;
let answer = 'R';
let server: Server;
after(() => server.close());

function listen(port: number): Promise<void> {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
}

function close(): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

test('an outage lasts from the first connection that failed to the first that was served, and a server that only starts up does not serve', async () => {
  await listen(0);
  const { port } = server.address() as AddressInfo;
  await untilServed(port, never);
  const seen = watch(port, never);
  await delay(50);
  const begin = performance.now();
  await close();
  await delay(60);
  answer = 'E';
  await listen(port);
  await delay(60);
  answer = 'R';
  const outages = await seen.stop();
  const wholeMs = performance.now() - begin;
  assert.equal(outages.length, 1);
  const [outage] = outages;
  assert.ok(outage !== undefined && outage.ms > 100 && outage.ms < wholeMs + 5, JSON.stringify({ outage, wholeMs }));
});

test('no outage is seen where there was none', async () => {
  const { port } = server.address() as AddressInfo;
  const seen = watch(port, never);
  await delay(50);
  assert.deepEqual(await seen.stop(), []);
});
