/** Downtime as a client sees it: TCP connections one after the other, from the first that failed to the first that was served again. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 1;
const SERVED_WITHIN_MS = 600_000;

/** Resolves once a connection is served. */
export async function untilServed(port: number): Promise<void> {
  const until = performance.now() + SERVED_WITHIN_MS;
  while (!(await isServed(port))) {
    if (performance.now() > until) throw new Error(`nothing is served on port ${port}`);
    await delay(PAUSE_MS);
  }
}

/**
 * Milliseconds for which nobody was served while `work` ran, from the start of the first connection that failed to the end of the
 * first that was served; until service is back.
 * @throws Error when there was no outage at all: then nothing was measured
 */
export async function outage(port: number, work: () => Promise<unknown>): Promise<number> {
  let [isDone, total] = [false, 0];
  const watching = (async () => {
    let downSince: number | undefined;
    for (;;) {
      const began = performance.now();
      if (await isServed(port)) {
        if (downSince !== undefined) total += performance.now() - downSince;
        downSince = undefined;
        if (isDone) return;
      } else {
        downSince ??= began;
        if (began - downSince > SERVED_WITHIN_MS) throw new Error(`nothing is served on port ${port}`);
      }
      await delay(PAUSE_MS);
    }
  })();
  await Promise.all([work().finally(() => (isDone = true)), watching]);
  if (total === 0) throw new Error('no outage was seen');
  return total;
}

function isServed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const settle = (served: boolean): void => {
      socket.destroy();
      resolve(served);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.once('data', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}
