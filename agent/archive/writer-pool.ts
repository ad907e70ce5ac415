/**
 * Hands small files to writer threads, since the file system's calls cost more than everything else and two cores make more of them.
 *
 * Guarantees: a file is written once, by one thread; `drain` returns when all are, or throws what the first failure was. A thread that dies is
 * a failure, too, and nobody waits for it.
 * Does not guarantee: an order among files.
 */
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type ErrorJson, RefloatError } from '../../db/errors.ts';
import type { Metadata, OnSkip } from './file-writer.ts';
import {
  CONSUMED,
  encodedLength,
  encodeFile,
  encodeXattrs,
  PRODUCED,
  SLOT_BYTES,
  SLOTS,
  STOP,
  type WriterData,
  type WriterMessage,
} from './writer-protocol.ts';

const THREADS = 2;
const WAIT_MS = 2;
const MAX_WAITS = 25;

/** Source of the threads' program, which the build puts here; undefined when running from source. */
declare const WRITER_THREAD: string | undefined;
const PROGRAM = typeof WRITER_THREAD === 'string' ? WRITER_THREAD : new URL('./writer-thread.ts', import.meta.url);

interface Thread {
  readonly worker: Worker;
  readonly state: Int32Array;
  readonly slots: SharedArrayBuffer;
  readonly stopped: Promise<void>;
  ready: boolean;
}

interface Batch {
  readonly thread: Thread;
  readonly batch: Buffer;
  used: number;
}

export class WriterPool {
  readonly #threads: Thread[] = [];
  readonly #onSkip: OnSkip;
  #failure: RefloatError | null = null;
  #current: Batch | null = null;

  /** @param program of the threads; another one only in tests */
  constructor(root: number, onSkip: OnSkip, program: string | URL = PROGRAM) {
    this.#onSkip = onSkip;
    for (let index = 0; index < THREADS; index += 1) this.#threads.push(this.#start(root, program));
  }

  /** False until the threads run: starting them takes longer than writing a few hundred files. */
  get ready(): boolean {
    return this.#threads.every(({ ready }) => ready);
  }

  /**
   * Copies the file into a batch. A promise when all rings stay full; `data` must stay as it is until it is kept.
   * @throws RefloatError the first failure of a thread
   */
  add(path: string, meta: Metadata, data: Buffer): Promise<void> | null {
    const xattrs = encodeXattrs(meta);
    const length = encodedLength(path, xattrs, data.length);
    if (this.#current !== null && this.#current.used + length + 8 > SLOT_BYTES) this.#publish();
    const current = this.#current ?? this.#open();
    if (current === null) return this.#addLater(path, meta, data);
    current.used = encodeFile(current.batch, current.used, path, meta, xattrs, data);
    return null;
  }

  /** Lets the threads' messages in between, one of which may say that there is nothing to wait for any more. */
  async #addLater(path: string, meta: Metadata, data: Buffer): Promise<void> {
    await setImmediate();
    await this.add(path, meta, data);
  }

  /** Whether a file fits into a batch at all. */
  fits(path: string, meta: Metadata, bytes: number): boolean {
    return encodedLength(path, encodeXattrs(meta), bytes) + 8 <= SLOT_BYTES;
  }

  async drain(): Promise<void> {
    this.#publish();
    for (const { state } of this.#threads) {
      for (
        let consumed = Atomics.load(state, CONSUMED);
        consumed !== Atomics.load(state, PRODUCED);
        consumed = Atomics.load(state, CONSUMED)
      )
        await Atomics.waitAsync(state, CONSUMED, consumed, 1000).value;
    }
    await this.stop();
    if (this.#failure !== null) throw this.#failure;
  }

  /** Ends the threads after what they have; call it in every case. */
  async stop(): Promise<void> {
    for (const { state } of this.#threads) {
      Atomics.store(state, STOP, 1);
      Atomics.notify(state, PRODUCED);
    }
    await Promise.all(this.#threads.map(({ stopped }) => stopped));
  }

  #start(root: number, program: string | URL): Thread {
    const control = new SharedArrayBuffer(12);
    const slots = new SharedArrayBuffer(SLOTS * SLOT_BYTES);
    const data: WriterData = { root, control, slots };
    const worker = new Worker(program, {
      eval: typeof program === 'string',
      workerData: data,
      resourceLimits: LIMITS,
    });
    let end: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      end = resolve;
    });
    const thread: Thread = { worker, state: new Int32Array(control), slots, stopped, ready: false };
    let hasStopped = false;
    const died = (cause: Error): void => {
      if (hasStopped) return;
      this.#failure ??= new RefloatError('INTERNAL', `a writer thread failed: ${cause.message}`, {
        hint: 'Nothing was written.',
        disposition: 'fail',
        cause,
      });
      // Whoever waits for this ring must not wait for ever.
      Atomics.store(thread.state, CONSUMED, Atomics.load(thread.state, PRODUCED));
      Atomics.notify(thread.state, CONSUMED);
      end();
    };
    worker.on('message', (message: WriterMessage) => {
      if ('ready' in message) thread.ready = true;
      else if ('error' in message) this.#failure ??= RefloatError.fromJSON(message.error as ErrorJson);
      else if ('skipped' in message) this.#onSkip(...message.skipped);
      else {
        hasStopped = true;
        end();
      }
    });
    worker.on('error', died);
    worker.on('exit', (code) => died(new Error(`it ended with code ${code}`)));
    return thread;
  }

  /** The thread with the least to do that has a free slot. */
  #freeThread(): Thread | null {
    if (this.#failure !== null) throw this.#failure;
    let best: Thread | null = null;
    let least = SLOTS;
    for (const thread of this.#threads) {
      const waiting = Atomics.load(thread.state, PRODUCED) - Atomics.load(thread.state, CONSUMED);
      if (waiting < least) {
        best = thread;
        least = waiting;
      }
    }
    return best;
  }

  /** Blocks this thread for a moment, since a promise per wait cost more than the files; null when all rings are full still. */
  #waitForThread(): Thread | null {
    for (let wait = 0; wait < MAX_WAITS; wait += 1) {
      const thread = this.#freeThread();
      if (thread !== null) return thread;
      const [first] = this.#threads;
      if (first !== undefined) Atomics.wait(first.state, CONSUMED, Atomics.load(first.state, CONSUMED), WAIT_MS);
    }
    return null;
  }

  #open(): Batch | null {
    const thread = this.#waitForThread();
    if (thread === null) return null;
    const slot = Atomics.load(thread.state, PRODUCED) % SLOTS;
    this.#current = { thread, batch: Buffer.from(thread.slots, slot * SLOT_BYTES, SLOT_BYTES), used: 0 };
    return this.#current;
  }

  #publish(): void {
    const current = this.#current;
    if (current === null) return;
    if (current.used + 4 <= SLOT_BYTES) current.batch.writeUInt32LE(0, current.used);
    Atomics.add(current.thread.state, PRODUCED, 1);
    Atomics.notify(current.thread.state, PRODUCED);
    this.#current = null;
  }
}

const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 };
