/**
 * The way between an agent and Postgres, and what can befall it: cut, refused, half open (every packet is swallowed), slow. It
 * counts what the agent says, so that a fault can come at the n-th time.
 */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type WayFault = 'cut' | 'refuse' | 'half-open' | 'slow';

export interface DatabaseRelay {
  /** The same login through the relay. */
  url(through: string): string;
  /** Calls `then` when the agent speaks for the `at`-th time from now on, before that gets through. */
  at(at: number, then: () => void): void;
  /** From now on, until it is healed. */
  befall(fault: WayFault): void;
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** What a slow way adds to every packet; longer than what the agent waits for before its commit point. */
const SLOW_MS = 2500;

export async function startDatabaseRelay(target: { hostname: string; port: number }): Promise<DatabaseRelay> {
  const sockets = new Set<Socket>();
  let fault: WayFault | null = null;
  let [said, at, then] = [0, 0, (): void => undefined];
  const pass = (from: Socket, to: Socket, onSaid: () => void): void => {
    // One after the other, however long each takes: bytes keep their order.
    let before: Promise<void> = Promise.resolve();
    from.on('data', (bytes) => {
      onSaid();
      if (fault === 'half-open') return;
      const slow = fault === 'slow';
      before = before.then(async () => {
        if (slow) await delay(SLOW_MS, undefined, { ref: false });
        if (!to.destroyed) to.write(bytes);
      });
    });
    from
      .on('error', () => to.destroy())
      .on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
  };
  const server = net.createServer((client) => {
    if (fault === 'refuse') {
      client.destroy();
      return;
    }
    const upstream = net.connect(target.port, target.hostname);
    sockets.add(client).add(upstream);
    pass(client, upstream, () => {
      said += 1;
      if (said === at) then();
    });
    pass(upstream, client, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url(through) {
      const url = new URL(through);
      url.hostname = '127.0.0.1';
      url.port = String(port);
      return url.href;
    },
    at(number, work) {
      [said, at, then] = [0, number, work];
    },
    befall(what) {
      if (what === 'cut') return cut();
      fault = what;
      if (what === 'refuse') cut();
    },
    async heal() {
      [fault, at] = [null, 0];
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
