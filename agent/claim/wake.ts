/**
 * Wakes the claim loop as soon as Postgres has something for this host.
 *
 * Guarantees: says honestly whether notifications arrive, by sending itself one: behind a pooler, LISTEN succeeds and nothing
 * ever comes. Reconnects for ever, with growing pauses.
 * Does not guarantee: that a notification is never missed; the loop also polls, more often while `works` is false.
 */
import type { Logger } from 'pino';
import postgres from 'postgres';
import { asRefloatError, endWithin } from './agent-database.ts';
import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';

const PROBE = 'probe';
const PROBE_LIMIT_MS = 5000;
/** How often a connection that looks alive is asked to prove it. */
const PROBE_EVERY_MS = 30_000;

export class Wake {
  readonly #url: string;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #onNotify: (payload: string) => void;
  readonly #onSession: (lasts: boolean) => void;
  readonly #stop = new AbortController();
  /** Rings when the probe came back, or the connection was closed. */
  readonly #news = new Bell();
  readonly #work: Promise<void>;
  #works = false;
  #answered = false;
  #closed = false;

  /**
   * @param onNotify gets the id of an intent of this host that is new or was cancelled
   * @param onSession whether a session at this address lasts, as it must for a notification to come back
   */
  constructor(
    url: string,
    hostId: string,
    log: Logger,
    onNotify: (intentId: string) => void,
    onSession: (lasts: boolean) => void = () => undefined,
  ) {
    this.#url = url;
    this.#channel = `refloat_${hostId.replaceAll('-', '')}`;
    this.#log = log;
    this.#onNotify = onNotify;
    this.#onSession = onSession;
    this.#work = this.#listen();
  }

  /** A notification that this agent sent itself has come back lately. */
  get works(): boolean {
    return this.#works;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #listen(): Promise<void> {
    const backoff = new Backoff();
    while (!this.#stop.signal.aborted) {
      this.#closed = false;
      const sql = this.#connect();
      try {
        await withLimit(sql.unsafe(`listen ${this.#channel}`), PROBE_LIMIT_MS);
        // What was written while nobody listened is found by looking once.
        this.#onNotify('');
        await this.#probeWhileAlive(sql, backoff);
      } catch (thrown) {
        this.#log.debug({ error: asRefloatError(thrown).toJSON() }, 'LISTEN failed; polling meanwhile');
      } finally {
        this.#works = false;
        await endWithin(sql, 0);
      }
      await backoff.pause(this.#stop.signal);
    }
  }

  async #probeWhileAlive(sql: postgres.Sql, backoff: Backoff): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#answered = false;
      await withLimit(sql`select pg_notify(${this.#channel}, ${PROBE})`, PROBE_LIMIT_MS);
      if (!this.#answered) await this.#news.wait(PROBE_LIMIT_MS, this.#stop.signal);
      if (this.#answered !== this.#works)
        this.#log.debug(this.#answered ? 'notifications arrive' : 'notifications are lost on the way');
      this.#works = this.#answered;
      this.#onSession(this.#works);
      if (this.#works) backoff.reset();
      // The probe may have come back before its statement ended: that ring has been heard.
      this.#news.silence();
      if (!this.#closed) await this.#news.wait(PROBE_EVERY_MS, this.#stop.signal);
      // The driver would connect again at the next statement, without listening.
      if (this.#closed) throw new Error('the connection was closed');
    }
  }

  #connect(): postgres.Sql {
    // `onnotify` is what the driver's own `listen` uses inside; its automatic reconnect gives up at the first failure.
    const options = {
      max: 1,
      fetch_types: false,
      prepare: false,
      connect_timeout: 5,
      idle_timeout: 0,
      max_lifetime: null,
      connection: { application_name: 'refloat-agent listen' },
      onnotice: () => undefined,
      onclose: () => {
        this.#closed = true;
        this.#news.ring();
      },
      onnotify: (_channel: string, payload: string) => this.#notified(payload),
    };
    return postgres(this.#url, options as postgres.Options<Record<string, never>>) as unknown as postgres.Sql;
  }

  #notified(payload: string): void {
    if (payload !== PROBE) {
      this.#onNotify(payload);
      return;
    }
    this.#answered = true;
    this.#news.ring();
  }
}

async function withLimit<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
