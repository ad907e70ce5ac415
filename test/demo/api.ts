/** The API as any script would call it: plain HTTP with a bearer token. */
import { setTimeout as delay } from 'node:timers/promises';
import { isOver } from '../../db/intent-state.ts';
import type { IntentAnswer } from '../../functions/cli/client/wire.ts';

/** How often it is asked whether an intent is over, unless told. */
const POLL_MS = 50;

export class DemoApi {
  readonly #url: string;
  readonly #token: string;
  readonly #signal: AbortSignal;
  readonly #pollMs: number;

  constructor(url: string, token: string, signal: AbortSignal, pollMs = POLL_MS) {
    this.#url = url;
    this.#token = token;
    this.#signal = signal;
    this.#pollMs = pollMs;
  }

  async call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json', ...headers },
      signal: this.#signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** Sends it and waits until the intent is over; throws unless it succeeded. */
  async intent(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<IntentAnswer> {
    const intent = await this.untilOver(await this.call<IntentAnswer>('POST', path, body, headers));
    if (intent.state === 'succeeded') return intent;
    throw new Error(
      `the ${intent.kind} is ${intent.state}: ${intent.error?.message ?? ''} ${intent.error?.hint ?? ''} (${intent.error?.code ?? ''})`,
    );
  }

  /** Waits until the intent is over, however it ends. */
  async untilOver(asked: IntentAnswer): Promise<IntentAnswer> {
    let intent = asked;
    while (!isOver(intent.state)) {
      await delay(this.#pollMs, undefined, { signal: this.#signal });
      intent = await this.call<IntentAnswer>('GET', `/api/intents/${intent.id}`);
    }
    return intent;
  }
}
