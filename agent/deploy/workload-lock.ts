/**
 * One lock per workload, and what work needs besides its own. Deploy, capture, restore, undo and delete all hold the lock while they work.
 *
 * Volumes may be shared: a restore also stops containers of other workloads, and takes their locks for that. A container that does not
 * say whose it is has one of its own. A workload may have no container at all, so that directories count, too: a restore that exchanges
 * them has them to itself among all work that says that it uses them. What touches neither containers nor live directories (verify,
 * import) waits for nothing but work on its own workload, and no other workload's waits for it.
 *
 * Guarantees: two holders of one workload's lock never exist in this process; what needs the lock asks for a WorkloadLock
 * as an argument, so forgetting it does not compile, and a restore passes its own on to its redeploy without a deadlock.
 * No deadlock: who waits for its own lock has nothing that anybody could wait for. Who has it is granted what else it asks for all at once
 * or not at all, and is refused at once where it would wait for somebody who waits for it, directly or through others. Nothing else closes
 * a circle: somebody new to wait for appears only where a wait begins, or as one who was granted something, and so waits for nothing.
 * Does not guarantee: anything across processes; the host lock (one agent per state directory) does that. That who asks for several at
 * once is not overtaken by who asks for one of them; no such wait lasts longer than an hour.
 */
import { Mutex } from 'async-mutex';
import { RefloatError } from '../../db/errors.ts';
import { overlap } from '../fs/volume-path.ts';
import { lockIdOf } from './labels.ts';
import { realOrSelf } from './still-match.ts';
import type { QuiescedContainer } from './types.ts';

/** How long work waits, its own lock in hand, for what others have: a capture's packing, or a person who reads who that is and cancels. */
const PATIENCE_MS = 3_600_000;

/** What work has to itself. Directories are real paths, each with all that lies in it and all in which it lies. */
export interface Share {
  /** Of workloads, and of containers without the label of one. */
  readonly ids: readonly string[];
  /** It reads them, or starts containers on them: nobody else exchanges them meanwhile. */
  readonly uses: readonly string[];
  /** Others take their place: nobody else uses or exchanges them meanwhile. */
  readonly exchanges: readonly string[];
}

/**
 * What work takes that stops and starts containers: their locks, and all that they mount, since they are started on it.
 * @param places directories that it uses besides, real paths
 */
export function shareOf(
  containers: readonly Pick<QuiescedContainer, 'id' | 'labels' | 'mounts'>[],
  places: Iterable<string> = [],
): Pick<Share, 'ids' | 'uses'> {
  const sources = containers.flatMap(({ mounts }) => mounts.flatMap(({ source }) => source || []));
  return { ids: [...new Set(containers.map(lockIdOf))], uses: [...new Set([...places, ...sources.map(realOrSelf)])] };
}

/** Proof that the caller holds the lock of this workload. Only `withWorkloadLock` makes one. */
export class WorkloadLock {
  readonly workloadId: string;
  /** As people call the workload. */
  readonly name: string;
  readonly #table: Table;
  #held = true;

  private constructor(table: Table, workloadId: string, name: string) {
    this.#table = table;
    this.workloadId = workloadId;
    this.name = name;
  }

  /** Throws when it was released, or is another workload's. */
  assertHeld(workloadId: string): void {
    if (!this.#held || this.workloadId !== workloadId) {
      throw new Error(`the lock of workload ${workloadId} is not held`);
    }
  }

  /** Whether all of this was taken already. */
  has(wanted: Partial<Share>): boolean {
    return this.#table.has(this, { ...NOTHING, ...wanted });
  }

  /**
   * Takes more than the own workload, until `letGo` or the end of the work; what it has already costs nothing.
   * @param onWait told the names of the workloads that are waited for, if any
   * @throws RefloatError `WORKLOAD_BUSY` (after an hour; at once if one of them waits for this one); the signal's reason
   */
  async take(
    more: Partial<Share>,
    signal: AbortSignal,
    onWait: (names: readonly string[]) => void = () => undefined,
  ): Promise<void> {
    this.assertHeld(this.workloadId);
    const wanted = { ...NOTHING, ...more };
    const before = this.#table.inTheWay(this, wanted);
    if (before.some((other) => this.#table.waitsFor(other, this))) throw busy(before, ', and waits for this one');
    const patience = new AbortController();
    const giveUp = () => patience.abort(busy(this.#table.inTheWay(this, wanted)));
    const timer = setTimeout(giveUp, this.#table.patienceMs);
    try {
      await this.#waitFor(wanted, AbortSignal.any([signal, patience.signal]), onWait);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Takes what is seen to be needed. Looks again after each wait: whoever was seen may have been stopped, started or replaced meanwhile.
   * @returns what was seen when all that it needs was held
   * @throws as `take`
   */
  async takeForWhatIsSeen<T>(
    look: () => Promise<T>,
    needs: (seen: T) => Partial<Share>,
    ...wait: [signal: AbortSignal, onWait: (names: readonly string[]) => void]
  ): Promise<T> {
    for (;;) {
      const seen = await look();
      const share = needs(seen);
      if (this.has(share)) return seen;
      await this.take(share, ...wait);
    }
  }

  /** All but the own workload, and what is to be kept. */
  letGo(but: Partial<Share> = {}): void {
    if (this.#held) this.#table.keep(this, { ...ownShare(this.workloadId), ...but });
  }

  async #waitFor(wanted: Share, signal: AbortSignal, onWait: (names: readonly string[]) => void): Promise<void> {
    const before = this.#table.inTheWay(this, wanted);
    if (before.length > 0) onWait(before.map(({ name }) => name));
    await this.#table.take(this, wanted, signal);
  }

  static async hold<T>(
    table: Table,
    workloadId: string,
    work: (lock: WorkloadLock) => Promise<T>,
    { name = workloadId, touches = true, signal = NEVER, onWait = () => undefined }: LockOptions,
  ): Promise<T> {
    const lock = new WorkloadLock(table, workloadId, name);
    try {
      // Another workload's work may have taken it.
      if (touches) await lock.#waitFor(ownShare(workloadId), signal, onWait);
      return await work(lock);
    } finally {
      lock.#held = false;
      table.keep(lock, null);
    }
  }
}

export interface LockOptions {
  /** For those who wait for it; else the id. */
  readonly name?: string;
  /** False for work that touches neither containers nor live directories. */
  readonly touches?: boolean;
  /** Ends the wait for work of other workloads; not the work. */
  readonly signal?: AbortSignal;
  /** Told the names of the workloads whose work is waited for, if any. */
  readonly onWait?: (names: readonly string[]) => void;
}

export class WorkloadLocks {
  /** Where those queue who have nothing yet: who has a lock and asks for more goes before them. */
  readonly #mutexes = new Map<string, Mutex>();
  readonly #table: Table;

  constructor(patienceMs = PATIENCE_MS) {
    this.#table = new Table(patienceMs);
  }

  /**
   * Runs `work` while nothing else works on this workload; waits for its turn. Not for who holds a lock already: see `take`.
   * @throws the signal's reason, if it comes before the turn
   */
  async withWorkloadLock<T>(
    workloadId: string,
    work: (lock: WorkloadLock) => Promise<T>,
    options: LockOptions = {},
  ): Promise<T> {
    let mutex = this.#mutexes.get(workloadId);
    if (mutex === undefined) {
      mutex = new Mutex();
      this.#mutexes.set(workloadId, mutex);
    }
    try {
      return await mutex.runExclusive(() => WorkloadLock.hold(this.#table, workloadId, work, options));
    } finally {
      if (!mutex.isLocked()) this.#mutexes.delete(workloadId);
    }
  }

  /** Whether something works on this workload at this moment, also on its containers alone. */
  isHeld(workloadId: string): boolean {
    return this.#table.isTaken(workloadId);
  }
}

interface Request {
  readonly wanted: Share;
  readonly granted: () => void;
}

/** Who has what, and who waits for what, in the order in which they came. Nothing in it waits between a look and what follows from it. */
class Table {
  readonly patienceMs: number;
  readonly #shares = new Map<WorkloadLock, Share>();
  readonly #requests = new Map<WorkloadLock, Request>();

  constructor(patienceMs: number) {
    this.patienceMs = patienceMs;
  }

  isTaken(workloadId: string): boolean {
    return [...this.#shares.values()].some(({ ids }) => ids.includes(workloadId));
  }

  has(lock: WorkloadLock, wanted: Share): boolean {
    const share = this.#shares.get(lock) ?? NOTHING;
    return KINDS.every((kind) => wanted[kind].every((one) => share[kind].includes(one)));
  }

  inTheWay(lock: WorkloadLock, wanted: Share): WorkloadLock[] {
    return [...this.#shares].flatMap(([other, share]) => (other !== lock && exclude(share, wanted) ? [other] : []));
  }

  /** Directly or through others. */
  waitsFor(waiting: WorkloadLock, lock: WorkloadLock): boolean {
    const request = this.#requests.get(waiting);
    if (request === undefined) return false;
    return this.inTheWay(waiting, request.wanted).some((next) => next === lock || this.waitsFor(next, lock));
  }

  async take(lock: WorkloadLock, wanted: Share, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      this.#requests.delete(lock);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort);
    this.#requests.set(lock, { wanted, granted: resolve });
    this.#grant();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** @param share null: nothing */
  keep(lock: WorkloadLock, share: Share | null): void {
    if (share === null) this.#shares.delete(lock);
    else this.#shares.set(lock, share);
    this.#grant();
  }

  #grant(): void {
    for (const [lock, { wanted, granted }] of this.#requests) {
      if (this.inTheWay(lock, wanted).length > 0) continue;
      this.#requests.delete(lock);
      const { ids, uses, exchanges } = this.#shares.get(lock) ?? NOTHING;
      this.#shares.set(lock, {
        ids: [...ids, ...wanted.ids],
        uses: [...uses, ...wanted.uses],
        exchanges: [...exchanges, ...wanted.exchanges],
      });
      granted();
    }
  }
}

const NEVER = new AbortController().signal;
const NOTHING: Share = { ids: [], uses: [], exchanges: [] };
const KINDS = ['ids', 'uses', 'exchanges'] as const;

function ownShare(workloadId: string): Share {
  return { ...NOTHING, ids: [workloadId] };
}

function exclude(a: Share, b: Share): boolean {
  const meet = (some: readonly string[], others: readonly string[]) =>
    some.some((one) => others.some((other) => overlap(one, other)));
  return (
    a.ids.some((id) => b.ids.includes(id)) ||
    meet(a.exchanges, [...b.exchanges, ...b.uses]) ||
    meet(a.uses, b.exchanges)
  );
}

function busy(inTheWay: readonly WorkloadLock[], and = ''): RefloatError {
  const names = inTheWay.map(({ name }) => `"${name}"`).join(', ');
  return new RefloatError(
    'WORKLOAD_BUSY',
    `another intent works on ${names}, which has containers or directories in common with this workload${and}`,
    {
      hint: 'Wait until it has come to its end, or cancel it; then start this one again.',
      details: { workloadIds: inTheWay.map(({ workloadId }) => workloadId) },
    },
  );
}
