/**
 * What lies between an agent and Postgres when things go wrong: a TCP relay that passes everything on, loses notifications as
 * a pooler in transaction mode does, swallows every packet as a broken network does, or breaks off in the middle of an answer.
 */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { after } from 'node:test';

export interface Pooler {
  /** The same login through the relay. */
  readonly url: string;
  /** From now on nothing gets through, and nothing is refused either. */
  swallow(on: boolean): void;
  /** The next answer that holds this text is lost, and its connection with it. */
  loseAnswer(text: string): void;
}

export async function startPooler(url: string, options: { losesNotifications?: boolean } = {}): Promise<Pooler> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let swallowing = false;
  let losing: string | null = null;
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(target.port), target.hostname);
    const filter = options.losesNotifications === true ? notificationFilter() : (bytes: Buffer) => bytes;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      if (!swallowing) upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      if (losing !== null && bytes.includes(losing)) {
        losing = null;
        client.destroy();
      } else if (!swallowing) {
        client.write(filter(bytes));
      }
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    swallow: (on) => {
      swallowing = on;
    },
    loseAnswer: (text) => {
      losing = text;
    },
  };
}

/** Takes NotificationResponse messages ('A') out of the server's stream. */
function notificationFilter(): (bytes: Buffer) => Buffer {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    const kept: Buffer[] = [];
    while (held.length >= 5) {
      const length = 1 + held.readUInt32BE(1);
      if (held.length < length) break;
      if (held[0] !== 0x41) kept.push(held.subarray(0, length));
      held = held.subarray(length);
    }
    return Buffer.concat(kept);
  };
}
