/**
 * Answers of the Node entry to what never becomes a request: what Node's HTTP parser refuses, or an address that is none.
 *
 * Guarantees: they are problems as everybody else's (RFC 9457), and end the connection.
 */
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { RequestError } from '@hono/node-server';
import type { Problem } from './problem.ts';

/** By the code of Node's error; every other one is 400. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const HINTS: Readonly<Record<number, string>> = {
  408: 'Send the whole request within Node’s limits of time.',
  413: 'Send chunks without extensions.',
  417: 'Send no "Expect", or "Expect: 100-continue".',
  431: 'Send fewer or shorter headers: 16 KiB in all.',
  500: 'This is a defect. Please report it.',
};
const TYPE = 'application/problem+json';

/** The adapter's `errorHandler`: the method, the address or the Host header cannot be read; or the app itself broke down. */
export function malformedRequest(error: unknown): Response {
  const status = error instanceof RequestError ? 400 : 500;
  return new Response(problem(status), { status, headers: { 'content-type': TYPE, connection: 'close' } });
}

/** Lets the server answer with problems where Node would answer with nothing but a status. */
export function answerMalformed(server: Server): void {
  server.on(
    'clientError',
    (error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse | null }) => {
      // In the middle of an answer there is nothing to say any more.
      if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent === true) {
        socket.destroy(error);
        return;
      }
      const status = STATUS[error.code ?? ''] ?? 400;
      const body = problem(status);
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
        // The other half as well: what is still to come must neither be waited for nor be taken for a request.
        () => socket.destroy(error),
      );
    },
  );
  server.on('checkExpectation', (_request, response) => {
    response.writeHead(417, { 'content-type': TYPE, connection: 'close' });
    response.end(problem(417));
  });
}

function problem(status: number): string {
  const isOurs = status >= 500;
  return JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code: isOurs ? 'INTERNAL' : 'BAD_REQUEST',
    detail: isOurs
      ? 'something went wrong that should not'
      : 'the request is not one of HTTP that this server understands',
    hint: HINTS[status] ?? 'Check the request line and the Host header (RFC 9112).',
  } satisfies Problem);
}
