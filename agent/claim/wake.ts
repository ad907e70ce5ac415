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
/**
 * Of so many looks at a connection on which notifications arrive one is a notification; the others ask the session whether it
 * listens. Postgres wakes every listener of the database for every notification: a thousand agents that sent themselves one at each
 * look kept the server busy with nothing else.
 */
const LOOKS_PER_PROBE = 60;

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
    for (let look = 0; !this.#stop.signal.aborted; look = (look + 1) % LOOKS_PER_PROBE) {
      const arrive = look > 0 && this.#works ? await this.#listens(sql) : await this.#probe(sql);
      if (arrive !== this.#works)
        this.#log.debug(arrive ? 'notifications arrive' : 'notifications are lost on the way');
      this.#works = arrive;
      this.#onSession(this.#works);
      if (this.#works) backoff.reset();
      // The probe may have come back before its statement ended: that ring has been heard.
      this.#news.silence();
      if (!this.#closed) await this.#news.wait(PROBE_EVERY_MS, this.#stop.signal);
      // The driver would connect again at the next statement, without listening.
      if (this.#closed) throw new Error('the connection was closed');
    }
  }

  /** Whether a notification that this agent sends itself comes back. */
  async #probe(sql: postgres.Sql): Promise<boolean> {
    this.#answered = false;
    await withLimit(sql`select pg_notify(${this.#channel}, ${PROBE})`, PROBE_LIMIT_MS);
    if (!this.#answered) await this.#news.wait(PROBE_LIMIT_MS, this.#stop.signal);
    return this.#answered;
  }

  /** Whether the session lives and listens. */
  async #listens(sql: postgres.Sql): Promise<boolean> {
    const rows = await withLimit(
      sql`select channel from pg_listening_channels() as channel where channel = ${this.#channel}`,
      PROBE_LIMIT_MS,
    );
    return rows.length > 0;
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
