/**
 * Gives batches of entries to reader threads, since waiting for the disk and the calls to the file system take longer than everything else.
 *
 * Guarantees: a batch fills one block, by one thread; blocks are reused, and no more of them exist than were under way at once.
 */
import { Worker } from 'node:worker_threads';
import { RefloatError } from '../../db/errors.ts';
import {
  encodeJob,
  READER_BLOCK_BYTES,
  type ReaderData,
  type ReaderMessage,
  type ReaderResult,
} from './reader-protocol.ts';
import type { WalkItem } from './tree-walk.ts';

const THREADS = 2;
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 };

/** Source of the threads' program, which the build puts here; undefined when running from source. */
declare const READER_THREAD: string | undefined;
const EMBEDDED = typeof READER_THREAD === 'string' ? READER_THREAD : null;

export interface FilledBlock extends ReaderResult {
  readonly items: readonly WalkItem[];
  readonly shared: SharedArrayBuffer;
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
  readonly #blocks: SharedArrayBuffer[] = [];

  constructor(root: number) {
    this.#threads = Array.from({ length: THREADS }, () => start(root));
  }

  /** False until the threads run: starting them takes longer than reading a few hundred files. */
  get ready(): boolean {
    return this.#threads.every(({ ready }) => ready);
  }

  /** Give the block back with `release`. */
  async fill(items: readonly WalkItem[]): Promise<FilledBlock> {
    const shared = this.#blocks.pop() ?? new SharedArrayBuffer(READER_BLOCK_BYTES);
    const thread = this.#threads.reduce((least, each) => (each.waiting.length < least.waiting.length ? each : least));
    if (thread.failure !== null) throw thread.failure;
    const result = await new Promise<ReaderResult>((resolve, reject) => {
      thread.waiting.push({ resolve, reject });
      thread.worker.postMessage(encodeJob(items, shared));
    });
    return { ...result, items, shared };
  }

  release({ shared }: FilledBlock): void {
    this.#blocks.push(shared);
  }

  /** Ends the threads after what they have; call it in every case. */
  async stop(): Promise<void> {
    for (const { worker } of this.#threads) worker.postMessage('stop');
    await Promise.all(this.#threads.map(({ ended }) => ended));
  }
}

function start(root: number): Thread {
  const data: ReaderData = { root };
  const worker = new Worker(EMBEDDED ?? new URL('./reader-thread.ts', import.meta.url), {
    eval: EMBEDDED !== null,
    workerData: data,
    resourceLimits: LIMITS,
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const thread: Thread = { worker, waiting: [], ended, ready: false, failure: null };
  worker.on('message', (message: ReaderMessage) => {
    if ('ready' in message) thread.ready = true;
    else thread.waiting.shift()?.resolve(message);
  });
  worker.on('error', (cause: Error) => {
    thread.failure = new RefloatError('INTERNAL', `a reader thread failed: ${cause.message}`, {
      hint: 'Nothing was written.',
      disposition: 'fail',
      cause,
    });
    for (const { reject } of thread.waiting.splice(0)) reject(thread.failure);
  });
  return thread;
}
