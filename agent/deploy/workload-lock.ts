/**
 * One lock per workload. Deploy, capture, restore, undo and delete all hold it while they work.
 *
 * Guarantees: two holders of one workload's lock never exist in this process; what needs the lock asks for a WorkloadLock
 * as an argument, so forgetting it does not compile, and a restore passes its own on to its redeploy without a deadlock.
 * Does not guarantee: anything across processes; the host lock (one agent per state directory) does that.
 */
import { Mutex } from 'async-mutex';

/** Proof that the caller holds the lock of this workload. Only `withWorkloadLock` makes one. */
export class WorkloadLock {
  readonly workloadId: string;
  #held = true;

  private constructor(workloadId: string) {
    this.workloadId = workloadId;
  }

  /** Throws when it was released, or is another workload's. */
  assertHeld(workloadId: string): void {
    if (!this.#held || this.workloadId !== workloadId) {
      throw new Error(`the lock of workload ${workloadId} is not held`);
    }
  }

  static async hold<T>(mutex: Mutex, workloadId: string, work: (lock: WorkloadLock) => Promise<T>): Promise<T> {
    return mutex.runExclusive(async () => {
      const lock = new WorkloadLock(workloadId);
      try {
        return await work(lock);
      } finally {
        lock.#held = false;
      }
    });
  }
}

export class WorkloadLocks {
  readonly #mutexes = new Map<string, Mutex>();

  /** Runs `work` while nothing else works on this workload; waits for its turn. */
  async withWorkloadLock<T>(workloadId: string, work: (lock: WorkloadLock) => Promise<T>): Promise<T> {
    let mutex = this.#mutexes.get(workloadId);
    if (mutex === undefined) {
      mutex = new Mutex();
      this.#mutexes.set(workloadId, mutex);
    }
    try {
      return await WorkloadLock.hold(mutex, workloadId, work);
    } finally {
      if (!mutex.isLocked()) this.#mutexes.delete(workloadId);
    }
  }
}
