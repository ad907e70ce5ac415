/** What never becomes a request is answered with a problem, too (Node's own server; workerd answers for itself). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { answerMalformed } from '../../functions/malformed.ts';
import { startNodeControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

test('a client that is late is not waited for, nor listened to after that', async (t) => {
  const asked: string[] = [];
  const server = createServer(
    { connectionsCheckingInterval: 20, headersTimeout: 100, requestTimeout: 100 },
    (request, response) => {
      asked.push(request.url ?? '');
      response.end();
    },
  );
  answerMalformed(server);
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write('POST /api/hosts HTTP/1.1\r\nHost: x\r\n');
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    answer += chunk;
  });
  await once(socket, 'end');
  assert.match(answer, /^HTTP\/1\.1 408 /);
  // That the other side has gone is noticed by writing.
  const more = setInterval(() => socket.write('Content-Length: 0\r\n\r\n'), 20);
  t.after(() => clearInterval(more));
  const [error] = (await once(socket, 'error', { signal: AbortSignal.timeout(10_000) })) as [NodeJS.ErrnoException];
  assert.ok(error.code === 'EPIPE' || error.code === 'ECONNRESET', String(error.code));
  assert.deepEqual(asked, []);
});

test('malformed requests: status, code and hint, and the end of the connection', async (t) => {
  const plane = await startNodeControlPlane(await testDatabase());
  t.after(() => plane.close());
  const { hostname, port } = new URL(plane.origin);
  const ask = async (request: string) => {
    const socket = connect(Number(port), hostname);
    socket.write(request);
    const answer = await text(socket);
    return { status: Number(answer.split(' ')[1]), answer, body: answer.slice(answer.indexOf('\r\n\r\n') + 4) };
  };
  for (const [request, status] of [
    ['GET /api/hosts HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['GET /api/hosts HTTP/1.1\r\nHost: x:99999\r\n\r\n', 400],
    ['GET /api/hosts HTTP/1.0\r\n\r\n', 400],
    ['NONSENSE /api/hosts HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['rubbish\r\n\r\n', 400],
    [`GET /api/hosts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['POST /api/hosts HTTP/1.1\r\nHost: x\r\nExpect: foo\r\nContent-Length: 0\r\n\r\n', 417],
  ] as const) {
    const { status: got, answer, body } = await ask(request);
    assert.equal(got, status, request.slice(0, 60));
    assert.match(answer, /content-type: application\/problem\+json/i);
    const problem = JSON.parse(body.replace(/^[\da-f]+\r\n([\s\S]*?)\r\n0\r\n\r\n$/, '$1'));
    assert.deepEqual([problem.status, problem.code], [status, 'BAD_REQUEST']);
    assert.ok(problem.hint.length > 0);
  }
});
