/**
 * One HTTP call to the engine: with a time-out, cancellable, and every failure a RefloatError.
 *
 * Guarantees: it settles within its time-out; an answer that is not accepted, a connection that cannot be made or breaks,
 * and a time-out have different codes. Does not guarantee: that a call which timed out had no effect; callers look again.
 */
import type { IncomingMessage } from 'node:http';
import type Docker from 'dockerode';
import { RefloatError } from '../../db/errors.ts';

export interface CallOptions {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Statuses besides 200, 201 and 204 that are an answer, not a failure; the call then gives null. */
  readonly alsoFine?: readonly number[];
  /** What the caller was doing, for messages: "stop container db-1". */
  readonly doing: string;
}

/** The answer's JSON; null for an empty one and for the statuses in `alsoFine`. */
export async function call(docker: Docker, dockerHost: string, options: CallOptions): Promise<unknown> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const answer = await dial(docker, dockerHost, options, timeout, false);
  if (answer === null || Buffer.isBuffer(answer)) return null;
  return answer;
}

/** Reads an answer that comes bit by bit. The time-out and the signal hold from the call to the end of the answer. */
export async function callAndRead<T>(
  docker: Docker,
  dockerHost: string,
  options: CallOptions,
  read: (answer: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const answer = (await dial(docker, dockerHost, options, timeout, true)) as IncomingMessage;
  try {
    const result = await read(answer);
    // An answer that was cut off may end like a whole one.
    if (!answer.complete) throw new Error('the answer was cut off');
    return result;
  } catch (thrown) {
    throw engineError(thrown, options, dockerHost, timeout);
  } finally {
    answer.destroy();
  }
}

async function dial(
  docker: Docker,
  dockerHost: string,
  options: CallOptions,
  timeout: AbortSignal,
  isStream: boolean,
): Promise<unknown> {
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  try {
    options.signal?.throwIfAborted();
    return await new Promise<unknown>((resolve, reject) => {
      docker.modem.dial(
        {
          // The modem appends the query to a path that ends with a question mark. The body is given apart, since it
          // would otherwise be written into the address as well, environment variables included.
          path: `${options.path}?`,
          method: options.method,
          options: { _query: options.query ?? {}, _body: options.body ?? {} },
          ...(options.headers === undefined ? {} : { headers: { ...options.headers } }),
          isStream,
          abortSignal: signal,
          statusCodes: {
            200: true,
            201: true,
            204: true,
            ...Object.fromEntries((options.alsoFine ?? []).map((status) => [status, ALSO_FINE])),
          },
        },
        (error: Error | null, result: unknown) => {
          if (error === null) {
            resolve(result);
          } else if ((error as { reason?: unknown }).reason === ALSO_FINE) {
            resolve(null);
          } else {
            reject(error);
          }
        },
      );
    });
  } catch (thrown) {
    throw engineError(thrown, options, dockerHost, timeout);
  }
}

const ALSO_FINE = 'also fine';

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'EPERM',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOTSOCK',
  'ENOTDIR',
]);

function engineError(thrown: unknown, options: CallOptions, dockerHost: string, timeout: AbortSignal): RefloatError {
  if (thrown instanceof RefloatError) return thrown;
  if (options.signal?.aborted === true && options.signal.reason instanceof RefloatError) return options.signal.reason;
  const error = thrown as { code?: unknown; name?: unknown; statusCode?: unknown; json?: unknown; message?: unknown };
  if (timeout.aborted) return timedOut(options.doing, options.timeoutMs, thrown);
  if (options.signal?.aborted === true) {
    return new RefloatError('INTERRUPTED', `interrupted while it was to ${options.doing}`, {
      hint: 'Ask again.',
      disposition: 'retry',
      cause: thrown,
    });
  }
  if (typeof error.statusCode === 'number') {
    return new RefloatError('ENGINE_FAILED', `the Docker engine could not ${options.doing}: ${answerText(error)}`, {
      hint:
        error.statusCode >= 500
          ? 'The engine’s message says why; the log of dockerd says more.'
          : 'The engine’s message says why.',
      disposition: 'fail',
      details: { status: error.statusCode },
      cause: thrown,
    });
  }
  if (typeof error.code === 'string' && UNREACHABLE.has(error.code)) return unavailable(dockerHost, error.code, thrown);
  return new RefloatError('ENGINE_FAILED', `could not ${options.doing}: ${String(error.message ?? thrown)}`, {
    hint: 'Look at the log of dockerd.',
    disposition: 'fail',
    cause: thrown,
  });
}

/** @param doing what was not done in time */
export function timedOut(doing: string, timeoutMs: number, cause?: unknown): RefloatError {
  return new RefloatError('ENGINE_TIMEOUT', `the Docker engine did not ${doing} within ${timeoutMs / 1000} s`, {
    hint: 'Look at the load of the host and at the log of dockerd; the call may still have had its effect.',
    disposition: 'retry',
    ...(cause === undefined ? {} : { cause }),
  });
}

function answerText(error: { json?: unknown; message?: unknown }): string {
  const json = error.json as { message?: unknown } | null | undefined;
  return typeof json?.message === 'string' && json.message !== '' ? json.message.trim() : String(error.message).trim();
}

/** No engine answers. The hint depends on why. */
function unavailable(dockerHost: string, code: string, cause?: unknown): RefloatError {
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? 'Run as root, or as a member of the group "docker".'
      : 'Start Docker ("systemctl start docker"), point DOCKER_HOST at it, or let Refloat start a private one: refloat-agent run --install-engine.';
  return new RefloatError('ENGINE_UNAVAILABLE', `no Docker engine answers at ${dockerHost} (${code})`, {
    hint,
    disposition: 'retry',
    details: { dockerHost, code },
    ...(cause === undefined ? {} : { cause }),
  });
}
