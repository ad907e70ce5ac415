/**
 * Sends an intent's events as server-sent events until it is over, by looking at the database again and again.
 *
 * Guarantees: numbered events come in order, each once, and all of them before `end`, also those that arrive just after the final
 * state; between two looks nothing of the database is held, no connection either; the stream ends when the client leaves, when its
 * token stops counting, and after `maxMs`, after which the client comes back with `Last-Event-ID` and misses nothing.
 * Does not guarantee: every figure of the progress; only the latest matters.
 */
import type { SSEStreamingApi } from 'hono/streaming';
import { isOver } from '../db/intent-state.ts';
import { findIntent } from '../db/queries/find-intent.ts';
import { type IntentLook, lookAtIntent } from '../db/queries/look-at-intent.ts';
import { stillValid } from './auth/authenticate.ts';
import type { Principal } from './auth/principal.ts';
import { withDatabase } from './database.ts';
import type { AppContext, AppDeps, EventStreamTimes } from './deps.ts';
import { intentAnswer } from './wire.ts';

const TIMES: EventStreamTimes = { pollMs: 250, idlePollMs: 2000, maxMs: 15 * 60_000 };
/** Each quiet look makes the pause longer by this. */
const SLOWER = 1.5;
const HEARTBEAT_MS = 15_000;
const PAGE = 500;
/** Looks at the database that may fail in a row; then the stream breaks, and the client comes back by itself. */
const FAILURES = 20;
/** Looks without news after the final state, before `end`: the agent delivers what it spooled in its own time. */
const LAST_LOOKS = 2;
/** How the client is told to wait before it reconnects. */
const RETRY_MS = 1000;

export async function followIntent(
  c: AppContext,
  deps: AppDeps,
  principal: Principal,
  intentId: string,
  afterSeq: number,
  stream: SSEStreamingApi,
): Promise<void> {
  const times = { ...TIMES, ...deps.eventStream };
  const now = (): number => deps.now().getTime();
  const began = now();
  const sender = new Sender(stream, afterSeq);
  let [beat, pause, quietWhenOver, failures] = [began, times.pollMs, 0, 0];
  await stream.write(`retry: ${RETRY_MS}\n\n`);
  while (!stream.aborted && !stream.closed && now() - began < times.maxMs) {
    try {
      const look = await withDatabase(c, deps, (db) => lookAtIntent(db, intentId, sender.seq, PAGE));
      if (look === null) return;
      const news = await sender.send(look);
      failures = 0;
      if (look.events.length === PAGE) continue;
      if (isOver(look.state)) {
        quietWhenOver = look.events.length > 0 ? 0 : quietWhenOver + 1;
        if (quietWhenOver >= (look.settled ? 1 : LAST_LOOKS)) {
          const intent = await withDatabase(c, deps, (db) => findIntent(db, intentId));
          if (intent !== null) await stream.writeSSE({ event: 'end', data: JSON.stringify(intentAnswer(intent)) });
          return;
        }
      }
      pause = news || isOver(look.state) ? times.pollMs : Math.min(times.idlePollMs, pause * SLOWER);
      if (now() - beat >= HEARTBEAT_MS) {
        beat = now();
        if (!(await withDatabase(c, deps, (db) => stillValid(db, principal, deps.now())))) return;
        await stream.write(': still here\n\n');
      }
    } catch (error) {
      failures++;
      if (failures === FAILURES) throw error;
    }
    await stream.sleep(pause);
  }
}

/** Remembers what the client has. */
class Sender {
  readonly #stream: SSEStreamingApi;
  #seq: number;
  #progress = '';

  constructor(stream: SSEStreamingApi, afterSeq: number) {
    this.#stream = stream;
    this.#seq = afterSeq;
  }

  get seq(): number {
    return this.#seq;
  }

  /** True if there was news. */
  async send({ events, state, step, progress }: IntentLook): Promise<boolean> {
    for (const event of events) {
      await this.#stream.writeSSE({ id: String(event.seq), event: event.type, data: JSON.stringify(event) });
      this.#seq = event.seq;
    }
    const now = JSON.stringify({ state, step, progress });
    const moved = now !== this.#progress;
    if (moved && !isOver(state) && events.length < PAGE) await this.#stream.writeSSE({ event: 'progress', data: now });
    this.#progress = now;
    return moved || events.length > 0;
  }
}
