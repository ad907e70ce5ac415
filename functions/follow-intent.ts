/**
 * Sends an intent's events as server-sent events until it is over, by looking at the database again and again.
 *
 * Guarantees: numbered events come in order, each once, and all of them before `end`; nothing is held in the database between
 * two looks; the stream ends when the client leaves or its token stops counting.
 * Does not guarantee: every figure of the progress; only the latest matters.
 */
import type { SSEStreamingApi } from 'hono/streaming';
import { isOver } from '../db/intent-state.ts';
import { findIntent } from '../db/queries/find-intent.ts';
import { listIntentEvents } from '../db/queries/list-intent-events.ts';
import { stillValid } from './auth/authenticate.ts';
import type { Principal } from './auth/principal.ts';
import type { AppContext, AppDeps } from './deps.ts';
import { intentAnswer } from './wire.ts';

const POLL_MS = 250;
const HEARTBEAT_MS = 15_000;
const PAGE = 500;
/** Looks at the database that may fail in a row; then the stream breaks, and the client comes back by itself. */
const FAILURES = 20;
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
  const db = c.get('db');
  let seq = afterSeq;
  let progress = '';
  let failures = 0;
  let beat = deps.now().getTime();
  await stream.write(`retry: ${RETRY_MS}\n\n`);
  while (!stream.aborted && !stream.closed) {
    try {
      // The row before the events: when it says "over", all events that were written before are in what is read next.
      const intent = await findIntent(db, intentId);
      if (intent === null) return;
      const events = await listIntentEvents(db, intentId, seq, PAGE);
      for (const event of events) {
        await stream.writeSSE({
          id: String(event.seq),
          event: event.type,
          data: JSON.stringify({ seq: event.seq, at: event.at.toISOString(), type: event.type, data: event.data }),
        });
        seq = event.seq;
      }
      if (events.length === PAGE) continue;
      const now = JSON.stringify({ state: intent.state, step: intent.step, progress: intent.progress });
      if (now !== progress && !isOver(intent.state)) await stream.writeSSE({ event: 'progress', data: now });
      progress = now;
      if (isOver(intent.state)) {
        await stream.writeSSE({ event: 'end', data: JSON.stringify(intentAnswer(intent)) });
        return;
      }
      if (deps.now().getTime() - beat >= HEARTBEAT_MS) {
        beat = deps.now().getTime();
        if (!(await stillValid(c, principal))) return;
        await stream.write(': still here\n\n');
      }
      failures = 0;
    } catch (error) {
      failures++;
      if (failures === FAILURES) throw error;
    }
    await stream.sleep(deps.eventPollMs ?? POLL_MS);
  }
}
