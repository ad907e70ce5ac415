/**
 * The API as the commands call it.
 *
 * Guarantees: every failure is a RefloatError, a refusal of the server with the server's own code and hint; a request that
 * changes something carries an Idempotency-Key, so that repeating it after a lost connection does not do it twice.
 * Does not guarantee: the shape of an answer; the server is trusted for that.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Disposition, type ErrorCode, RefloatError } from '../../../db/errors.ts';

export interface ApiOptions {
  readonly baseUrl: string;
  readonly token: string;
  /** Aborts whatever is under way. */
  readonly signal?: AbortSignal;
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly intentId?: string;
  readonly [more: string]: unknown;
}

/** How often a request is sent at most when the connection breaks. */
const ATTEMPTS = 4;

/** How long an answer may take, in milliseconds. */
const TIMEOUT_MS = 30_000;

export class Api {
  readonly #base: string;
  readonly #token: string;
  readonly #signal: AbortSignal | undefined;

  constructor(options: ApiOptions) {
    this.#base = options.baseUrl.replace(/\/+$/, '');
    this.#token = options.token;
    this.#signal = options.signal;
  }

  get signal(): AbortSignal | undefined {
    return this.#signal;
  }

  /** Its address, as other programs need it. */
  get base(): string {
    return this.#base;
  }

  get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  /** All pages of a list, whose rows are the member `member` of each answer. */
  async list<T>(path: string, member: string): Promise<T[]> {
    const rows: T[] = [];
    for (let cursor: string | null = null; ; ) {
      const more: string =
        cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
      const page = await this.get<Readonly<Record<string, T[]>> & { readonly next?: string | null }>(path + more);
      const found = page?.[member];
      if (!Array.isArray(found)) throw notTheApi(this.#base, 200);
      rows.push(...found);
      cursor = page.next ?? null;
      if (cursor === null) return rows;
    }
  }

  post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>('POST', path, body, { 'idempotency-key': randomUUID(), ...headers });
  }

  put<T>(path: string, body: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>('PUT', path, body, headers);
  }

  delete<T>(path: string): Promise<T> {
    return this.#call<T>('DELETE', path);
  }

  /**
   * The event stream of an intent, once; the caller resumes.
   * @param lastEventId sequence number of the last event that arrived, 0 for all
   */
  async events(intentId: string, lastEventId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = { accept: 'text/event-stream', authorization: `Bearer ${this.#token}` };
    if (lastEventId > 0) headers['last-event-id'] = String(lastEventId);
    const response = await fetch(`${this.#base}/api/intents/${intentId}/events`, { headers, signal });
    if (!response.ok) throw await refusal(response);
    if (response.body === null) throw new Error('the server sent no event stream');
    return response.body;
  }

  /** An answer that is read as it comes. */
  async stream(path: string): Promise<ReadableStream<Uint8Array>> {
    const headers = { authorization: `Bearer ${this.#token}` };
    const init = this.#signal === undefined ? { headers } : { headers, signal: this.#signal };
    const response = await fetch(`${this.#base}${path}`, init).catch((thrown: unknown) => {
      throw unreachable(this.#base, thrown);
    });
    if (!response.ok) throw await refusal(response);
    if (response.body === null) throw new Error('the server sent nothing');
    return response.body;
  }

  async #call<T>(method: string, path: string, body?: unknown, extra?: Record<string, string>): Promise<T> {
    const headers: Record<string, string> = {
      accept: 'application/json',
      authorization: `Bearer ${this.#token}`,
      ...extra,
    };
    const init: RequestInit = { method, headers };
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    const response = await this.#send(`${this.#base}${path}`, init);
    if (!response.ok) throw await refusal(response);
    if (response.status === 204) return undefined as T;
    return (await response.json().catch((cause: unknown) => {
      throw notTheApi(this.#base, response.status, cause);
    })) as T;
  }

  async #send(url: string, init: RequestInit): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      const timeout = AbortSignal.timeout(TIMEOUT_MS);
      const signal = this.#signal === undefined ? timeout : AbortSignal.any([timeout, this.#signal]);
      try {
        return await fetch(url, { ...init, signal });
      } catch (thrown) {
        if (this.#signal?.aborted === true) throw this.#signal.reason;
        if (attempt === ATTEMPTS || isRefused(thrown)) throw unreachable(this.#base, thrown);
        await delay(100 * 2 ** attempt, undefined, this.#signal === undefined ? {} : { signal: this.#signal });
      }
    }
  }
}

/** Nothing listens there: trying again at once is no use. */
function isRefused(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return (
    code === 'ECONNREFUSED' ||
    code === 'ENOTFOUND' ||
    (thrown instanceof TypeError && /Invalid URL|parse URL/.test(thrown.message))
  );
}

function unreachable(base: string, cause: unknown): RefloatError {
  return new RefloatError('API_UNREACHABLE', `no answer from ${base}`, {
    hint: 'Start the API (refloat up, or refloat serve), or say where it is with --api or REFLOAT_PUBLIC_URL.',
    disposition: 'retry',
    cause: cause instanceof Error && cause.cause !== undefined ? cause.cause : cause,
  });
}

function notTheApi(base: string, status: number, cause?: unknown): RefloatError {
  return new RefloatError(
    'API_UNREACHABLE',
    `${base} answered ${status} with something else than an answer of the API`,
    {
      hint: 'Check --api or REFLOAT_PUBLIC_URL: this address does not look like a Refloat API.',
      disposition: 'fail',
      cause,
    },
  );
}

/** An answer that is not 2xx as an error; `details.status` is the HTTP status. */
async function refusal(response: Response): Promise<RefloatError> {
  const text = await response.text();
  let problem: Problem;
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    return notTheApi(new URL(response.url).origin, response.status, new Error(text.slice(0, 200)));
  }
  const { code, title, detail, hint, type: _type, status: _status, instance: _instance, ...more } = problem;
  return new RefloatError(
    (code ?? 'INTERNAL') as ErrorCode,
    detail ?? title ?? `the server answered ${response.status}`,
    {
      hint: hint ?? '',
      disposition: dispositionOf(response.status),
      details: { status: response.status, ...more },
    },
  );
}

function dispositionOf(status: number): Disposition {
  if (status === 429 || status === 503) return 'retry';
  return status < 500 ? 'refuse' : 'fail';
}
