/**
 * Follows an intent to its end over the event stream.
 *
 * Guarantees: every event is reported once and in order, however often the connection breaks; the last report is the
 * intent's row as the API gives it, which decides the outcome.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { RefloatError } from '../../../db/errors.ts';
import { isOver } from '../../../db/intent-state.ts';
import type { Api } from './api.ts';
import type { EventAnswer, IntentAnswer, ProgressAnswer } from './wire.ts';

export interface Watcher {
  /** One line of the progress. */
  event(event: EventAnswer): void;
  /** State, step and figures whenever they are known anew. */
  progress(progress: ProgressAnswer): void;
  /** The stream broke; it is tried again. */
  disconnected(): void;
}

/** Silence on the stream after which it counts as broken, in milliseconds; the server sends a heartbeat more often. */
const SILENCE_MS = 45_000;
const RETRY_FIRST_MS = 200;
const RETRY_MOST_MS = 5_000;

/** Returns when the intent is over; throws when the API refuses, or `signal` is aborted. */
export async function follow(api: Api, intentId: string, watcher: Watcher, signal: AbortSignal): Promise<IntentAnswer> {
  const cursor = { last: 0 };
  let retryMs = RETRY_FIRST_MS;
  for (;;) {
    const before = cursor.last;
    try {
      await readStream(api, intentId, cursor, watcher, signal);
      const intent = await api.get<IntentAnswer>(`/api/intents/${intentId}`);
      watcher.progress(intent);
      if (isOver(intent.state)) return intent;
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof RefloatError && thrown.disposition === 'refuse') throw thrown;
      watcher.disconnected();
    }
    retryMs = cursor.last > before ? RETRY_FIRST_MS : Math.min(RETRY_MOST_MS, retryMs * 2);
    await delay(retryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** One connection, until the server ends it, it breaks (throws), or the intent is over. */
async function readStream(
  api: Api,
  intentId: string,
  cursor: { last: number },
  watcher: Watcher,
  signal: AbortSignal,
): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  let over = false;
  const parser = createParser({
    onEvent: (message) => {
      if (message.event === 'progress') return watcher.progress(JSON.parse(message.data) as ProgressAnswer);
      if (message.event === 'end') {
        over = true;
        return;
      }
      const seq = Number(message.id ?? '');
      if (!Number.isSafeInteger(seq) || seq <= cursor.last) return;
      cursor.last = seq;
      watcher.event(JSON.parse(message.data) as EventAnswer);
    },
  });
  try {
    const decoder = new TextDecoder();
    const stream = await api.events(intentId, cursor.last, AbortSignal.any([signal, silence.signal]));
    for await (const chunk of stream) {
      timer.refresh();
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (over) return;
    }
  } finally {
    clearTimeout(timer);
  }
}
