/**
 * Gives batches of entries to reader threads, since the calls to the file system and the compression take longer than everything else.
 *
 * Guarantees: a batch fills one block, by one thread; what blocks are given back in is reused, and no more exist than were under way at
 * once.
 */
import { Worker } from 'node:worker_threads';
import { RefloatError } from '../../db/errors.ts';
import {
  encodeJob,
  READER_OUT_BYTES,
  type ReaderData,
  type ReaderMessage,
  type ReaderResult,
} from './reader-protocol.ts';
import type { ListedEntry } from './tree-list.ts';

const THREADS = 2;
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 };

/** Source of the threads' program, which the build puts here; undefined when running from source. */
declare const READER_THREAD: string | undefined;
const EMBEDDED = typeof READER_THREAD === 'string' ? READER_THREAD : null;

export interface FilledBlock extends ReaderResult {
  readonly entries: readonly ListedEntry[];
  readonly out: SharedArrayBuffer;
}

interface Waiting {
  readonly resolve: (result: ReaderResult) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Waiting[];
  readonly ended: Promise<void>;
  ready: boolean;
  failure: RefloatError | null;
}

export class ReaderPool {
  readonly #threads: Thread[];
  readonly #outs: SharedArrayBuffer[] = [];

  constructor(data: ReaderData) {
    this.#threads = Array.from({ length: THREADS }, () => start(data));
  }

  /**
   * False until the threads run: starting them takes longer than reading a few hundred files.
   * @throws RefloatError INTERNAL when one has ended
   */
  get ready(): boolean {
    for (const { failure } of this.#threads) if (failure !== null) throw failure;
    return this.#threads.every(({ ready }) => ready);
  }

  /** Give the block back with `release`. @throws RefloatError INTERNAL when the thread has ended */
  async fill(entries: readonly ListedEntry[]): Promise<FilledBlock> {
    const out = this.#outs.pop() ?? new SharedArrayBuffer(READER_OUT_BYTES);
    const thread = this.#threads.reduce((least, each) => (each.waiting.length < least.waiting.length ? each : least));
    if (thread.failure !== null) throw thread.failure;
    const result = await new Promise<ReaderResult>((resolve, reject) => {
      thread.waiting.push({ resolve, reject });
      thread.worker.postMessage(encodeJob(entries, out));
    });
    return { ...result, entries, out };
  }

  release({ out }: FilledBlock): void {
    this.#outs.push(out);
  }

  /** Ends the threads after what they have; call it in every case. */
  async stop(): Promise<void> {
    for (const { worker } of this.#threads) worker.postMessage('stop');
    await Promise.all(this.#threads.map(({ ended }) => ended));
  }
}

function start(data: ReaderData): Thread {
  const worker = new Worker(EMBEDDED ?? new URL('./reader-thread.ts', import.meta.url), {
    eval: EMBEDDED !== null,
    workerData: data,
    resourceLimits: LIMITS,
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const thread: Thread = { worker, waiting: [], ended, ready: false, failure: null };
  const fail = (cause: Error | null): void => {
    thread.failure ??= new RefloatError('INTERNAL', `a reader thread failed: ${cause?.message ?? 'it ended'}`, {
      hint: 'Nothing was written.',
      disposition: 'fail',
      ...(cause === null ? {} : { cause }),
    });
    for (const { reject } of thread.waiting.splice(0)) reject(thread.failure);
  };
  worker.on('message', (message: ReaderMessage) => {
    if ('ready' in message) thread.ready = true;
    else thread.waiting.shift()?.resolve(message);
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(null));
  return thread;
}
