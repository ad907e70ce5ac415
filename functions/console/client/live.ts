/**
 * One intent, followed over server-sent events from its first event to its end.
 *
 * Guarantees: every step is shown, after a reload too, since the stream is read from its beginning; the intent's row from
 * the API decides what came of it. The browser itself reconnects and says which event it saw last.
 */
import { isOver } from '../../../db/intent-state.ts';
import type { StepEventData } from '../../../db/results.ts';
import type { EventAnswer, IntentAnswer, ProgressAnswer } from '../../cli/client/wire.ts';
import { request } from './api.ts';
import { Problem } from './problem.ts';

export interface LiveStep {
  readonly name: string;
  readonly status: StepEventData['status'];
  readonly startedAt: string | undefined;
  readonly ms: number | undefined;
}

export interface LiveIntent {
  readonly intent: IntentAnswer;
  readonly steps: readonly LiveStep[];
  readonly warnings: readonly string[];
  readonly connected: boolean;
}

export interface Follower {
  readonly intentId: string;
  stop(): void;
}

/** How often the row is read although the stream is open: a proxy may hold the stream back. In ms. */
const POLL_MS = 3000;
/** How long the stream may take to bring the last events of an intent that is over, in ms. */
const LAST_EVENTS_MS = 2000;

/**
 * @param changed called with what is known, whenever that is more
 * @param failed called when the API refuses (signed out, gone); following has ended then
 */
export function followIntent(
  first: IntentAnswer,
  changed: (live: LiveIntent) => void,
  failed: (problem: Problem) => void,
): Follower {
  const steps = new Map<string, LiveStep>();
  const warnings: string[] = [];
  let intent = first;
  let connected = true;
  let stopped = false;
  let seen = 0;
  let reading = false;
  const tell = () => changed({ intent, steps: [...steps.values()], warnings: [...warnings], connected });
  const source = new EventSource(`/api/intents/${first.id}/events`);
  const timer = setInterval(() => void read(), POLL_MS);

  const stop = () => {
    stopped = true;
    source.close();
    clearInterval(timer);
  };
  const read = async () => {
    if (reading || stopped) return;
    reading = true;
    try {
      const next = await request<IntentAnswer>('GET', `/api/intents/${first.id}`);
      if (stopped) return;
      connected = true;
      intent = next;
      // The stream has the last events still to bring, and ends by itself; unless it is held up.
      if (isOver(intent.state)) setTimeout(stop, LAST_EVENTS_MS);
      tell();
    } catch (thrown) {
      if (stopped) return;
      if (thrown instanceof Problem && thrown.status >= 400 && thrown.status < 500) {
        stop();
        failed(thrown);
        return;
      }
      connected = false;
      tell();
    } finally {
      reading = false;
    }
  };
  const take = (message: MessageEvent<string>) => {
    const seq = Number(message.lastEventId);
    if (!(seq > seen)) return;
    seen = seq;
    connected = true;
    const event = JSON.parse(message.data) as EventAnswer;
    if (event.type === 'step') takeStep(steps, event);
    if (event.type === 'warning') warnings.push(String(event.data['message'] ?? JSON.stringify(event.data)));
    if (event.type === 'state') void read();
    tell();
  };
  const takeProgress = (message: MessageEvent<string>) => {
    const progress = JSON.parse(message.data) as ProgressAnswer;
    connected = true;
    // A new step may have passed the commit point: the row says.
    if (progress.step !== intent.step || progress.state !== intent.state) void read();
    intent = { ...intent, ...progress };
    tell();
  };
  source.addEventListener('progress', takeProgress);
  source.addEventListener('end', (message: MessageEvent<string>) => {
    intent = JSON.parse(message.data) as IntentAnswer;
    connected = true;
    stop();
    tell();
  });
  for (const type of ['step', 'warning', 'state', 'snapshot'] satisfies EventAnswer['type'][])
    source.addEventListener(type, take);
  source.addEventListener('error', () => void read());
  tell();
  return { intentId: first.id, stop };
}

function takeStep(steps: Map<string, LiveStep>, event: EventAnswer): void {
  const { step, status, ms } = event.data as unknown as StepEventData;
  const before = steps.get(step);
  steps.set(step, {
    name: step,
    status,
    startedAt: status === 'started' ? event.at : before?.startedAt,
    ms: ms ?? before?.ms,
  });
}
