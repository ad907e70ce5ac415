/**
 * What lies between the agent and a real Docker engine when the engine misbehaves: an HTTP relay on a socket of its own that
 * passes every call on, but for the one that it is armed for.
 */
import { rmSync } from 'node:fs';
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** `had`: the call has its effect, and only the answer is another one. */
export type EngineFault =
  | { readonly kind: 'status'; readonly status: number; readonly had: boolean }
  | { readonly kind: 'hang' | 'reset'; readonly had: boolean }
  /** This call and those behind it find nobody, as while an engine starts. */
  | { readonly kind: 'away'; readonly calls: number }
  /** The engine is killed, or told to end, and started again; the call is lost. */
  | { readonly kind: 'restart'; readonly signal: 'SIGKILL' | 'SIGTERM'; readonly had: boolean };

export interface FaultProxy {
  readonly dockerHost: string;
  /** The `at`-th call from now on meets the fault, counted from 1. */
  arm(at: number, fault: EngineFault): void;
  /** Passes everything on again, to an engine that is there. How many calls there were since it was armed, and whether the fault was met. */
  disarm(): Promise<{ readonly calls: number; readonly met: boolean }>;
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** Where the relay listens; a short path. */
  readonly socket: string;
  /** The engine's own socket. */
  readonly upstream: string;
  readonly restart: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
}

/** What the engine says where its words matter. */
const MESSAGES: Readonly<Record<number, string>> = { 404: 'No such container: injected' };

export async function startFaultProxy({ socket, upstream, restart }: FaultProxyOptions): Promise<FaultProxy> {
  let [calls, at, away, met] = [0, 0, 0, false];
  let fault: EngineFault | null = null;
  let restarting: Promise<void> | null = null;
  const sockets = new Set<Socket>();

  const relay = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    calls += 1;
    const body = await read(request);
    if (restarting !== null || away > 0) {
      away = Math.max(0, away - 1);
      request.socket.destroy();
      return;
    }
    if (fault === null || calls !== at) return forward(upstream, request, body, response);
    met = true;
    if (fault.kind !== 'away' && fault.had) await forward(upstream, request, body, null);
    switch (fault.kind) {
      case 'status':
        response.writeHead(fault.status, { 'content-type': 'application/json' });
        response.end(
          fault.status === 304
            ? undefined
            : JSON.stringify({ message: MESSAGES[fault.status] ?? 'a fault was injected' }),
        );
        return;
      case 'hang':
        return;
      case 'reset':
        request.socket.destroy();
        return;
      case 'away':
        away = fault.calls - 1;
        request.socket.destroy();
        return;
      case 'restart':
        request.socket.destroy();
        restarting = restart(fault.signal).finally(() => {
          restarting = null;
        });
        await restarting;
        return;
      default:
        fault satisfies never;
    }
  };

  const server: Server = http.createServer((request, response) => {
    relay(request, response).catch(() => request.socket.destroy());
  });
  server.on('connection', (connection) => {
    sockets.add(connection);
    connection.on('error', () => undefined).on('close', () => sockets.delete(connection));
  });
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
  return {
    dockerHost: `unix://${socket}`,
    arm(number, armed) {
      [calls, at, away, met] = [0, number, 0, false];
      fault = armed;
    },
    async disarm() {
      fault = null;
      away = 0;
      const seen = { calls, met };
      await restarting;
      return seen;
    },
    async close() {
      for (const connection of sockets) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
      await restarting;
    },
  };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Passes a call on and its answer back; with `response` null the answer is thrown away. Resolves when it has come. */
function forward(
  upstream: string,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse | null,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { method, url, headers } = request;
    const on = http.request({ socketPath: upstream, method, path: url, headers, agent: false }, (answer) => {
      if (response === null) {
        answer.resume();
      } else {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      }
      answer.once('end', resolve).once('error', reject);
    });
    on.once('error', reject);
    on.end(body);
  });
}
