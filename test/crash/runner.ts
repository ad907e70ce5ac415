/**
 * Runs sweeps: in slots, which are processes of their own, with a seed that is printed and a deadline for every case.
 *
 * Guarantees: a case that throws, ends its slot or does not end in time is a violation; so is a full run with too few faults.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FromSlot, ToSlot } from './slot.ts';
import type { CaseResult, SweepEntry } from './sweep.ts';

const CASE_MS = 120_000;
const OPEN_MS = 300_000;
/** Violations that are told in full; more are counted. */
const TOLD = 20;
const SCRATCH = '/dev/shm';

export interface RunOptions {
  readonly seed: string;
  /** Faults to try; default those of a full run. */
  readonly count?: number;
  /** Only this case. */
  readonly onlyCase?: string | undefined;
  readonly slots: number;
  /** Where bundles lie that sweeps share; default this sweep's own scratch. */
  readonly programs?: string;
  readonly say: (line: string) => void;
  /** Say of every case how it ended, and how long it took. */
  readonly isVerbose?: boolean;
  /** What an interrupted run of the same sweep has done. */
  readonly goOn?: SweepProgress | null;
  /** Told after each case, for a run that may be interrupted. */
  readonly onProgress?: (make: () => SweepProgress) => void;
}

export interface Violation {
  readonly case: string;
  readonly what: string;
}

export interface SweepSummary {
  readonly name: string;
  readonly count: number;
  readonly wanted: number;
  readonly violations: number;
  readonly told: readonly Violation[];
  /** How many cases ended how. */
  readonly ended: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** A sweep in the middle. */
export interface SweepProgress {
  readonly summary: SweepSummary;
  /** Cases that have not ended. */
  readonly left: readonly string[];
}

export async function runSweep(entry: SweepEntry, options: RunOptions): Promise<SweepSummary> {
  const began = performance.now();
  const seconds = (): number => (options.goOn?.summary.seconds ?? 0) + (performance.now() - began) / 1000;
  const scratch = mkdtempSync(join(SCRATCH, 'refloat-torture-'));
  const wanted = options.onlyCase === undefined ? (options.count ?? entry.full) : 1;
  const tally = new Tally(entry.name, wanted, options.say, options.goOn?.summary);
  const many = options.onlyCase === undefined ? Math.min(options.slots, entry.slots ?? options.slots) : 1;
  const opened: SlotProcess[] = [];
  const tidyUp = (): void => {
    // One that could not be closed, or whose neighbour could not, would keep this process from ending.
    for (const slot of opened) slot.kill();
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', tidyUp);
  try {
    const open = async (index: number): Promise<SlotProcess> => {
      const slot = await SlotProcess.open({
        open: entry.name,
        index,
        seed: options.seed,
        directory: join(scratch, String(index)),
        programs: options.programs ?? join(scratch, 'programs'),
      });
      opened.push(slot);
      return slot;
    };
    const first = await open(0);
    const names =
      options.onlyCase === undefined ? [...(options.goOn?.left ?? (await first.cases(wanted)))] : [options.onlyCase];
    const underWay = new Set<string>();
    const slots = await Promise.all(Array.from({ length: many }, (_, index) => (index === 0 ? first : open(index))));
    await Promise.all(
      slots.map(async (started, index) => {
        let slot = started;
        for (let name = names.shift(); name !== undefined && !tally.isEnough; name = names.shift()) {
          const started = performance.now();
          underWay.add(name);
          try {
            const result = await slot.run(name, entry.caseMs ?? CASE_MS);
            tally.add(name, result);
            if (options.isVerbose === true)
              options.say(`${name}: ${result.ended ?? 'ended'}, ${Math.round(performance.now() - started)} ms`);
          } catch (error) {
            tally.add(name, { count: 1, violations: [String(error)] });
            slot.kill();
            slot = await open(index);
          }
          underWay.delete(name);
          options.onProgress?.(() => ({ summary: tally.summary(seconds()), left: [...underWay, ...names] }));
        }
        await slot.close();
      }),
    );
  } finally {
    process.off('exit', tidyUp);
    tidyUp();
  }
  return tally.summary(seconds());
}

class Tally {
  readonly #name: string;
  readonly #wanted: number;
  readonly #say: (line: string) => void;
  readonly #told: Violation[];
  readonly #ended: Record<string, number>;
  #count: number;
  #violations: number;
  #nextReport = 0;

  /** @param before what was counted before an interruption */
  constructor(name: string, wanted: number, say: (line: string) => void, before?: SweepSummary) {
    this.#name = name;
    this.#wanted = wanted;
    this.#say = say;
    this.#told = [...(before?.told ?? [])];
    this.#ended = { ...before?.ended };
    this.#count = before?.count ?? 0;
    this.#violations = before?.violations ?? 0;
    this.#reportLater();
  }

  get isEnough(): boolean {
    return this.#count >= this.#wanted;
  }

  add(name: string, { count, violations, ended }: CaseResult): void {
    this.#count += count;
    if (ended !== undefined) this.#ended[ended] = (this.#ended[ended] ?? 0) + 1;
    for (const what of violations) {
      this.#violations += 1;
      if (this.#told.length >= TOLD) continue;
      this.#told.push({ case: name, what });
      this.#say(`VIOLATION ${this.#name} --case ${JSON.stringify(name)}: ${what}`);
    }
    if (this.#count < this.#wanted * this.#nextReport) return;
    this.#reportLater();
    this.#say(`${this.#name}: ${this.#count} of ${this.#wanted}, ${this.#violations} violations`);
  }

  /** After the next tenth. */
  #reportLater(): void {
    this.#nextReport = Math.floor((this.#count / this.#wanted) * 10 + 1) / 10;
  }

  summary(seconds: number): SweepSummary {
    return {
      name: this.#name,
      count: this.#count,
      wanted: this.#wanted,
      violations: this.#violations,
      told: this.#told,
      ended: Object.fromEntries(Object.entries(this.#ended).sort(([a], [b]) => (a < b ? -1 : 1))),
      seconds: Math.round(seconds),
    };
  }
}

class SlotProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(message: ToSlot): Promise<SlotProcess> {
    const child = fork(join(import.meta.dirname, 'slot.ts'), [], {
      // A mount namespace of its own: a file system that is to lose power must not live on in somebody else's, and all mounts end
      // with the slot, however that ends.
      execPath: 'unshare',
      execArgv: ['--mount', '--propagation', 'slave', process.execPath, '--import', import.meta.resolve('tsx')],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const slot = new SlotProcess(child);
    await slot.#ask(message, OPEN_MS);
    return slot;
  }

  async cases(count: number): Promise<readonly string[]> {
    const answer = await this.#ask({ cases: count }, OPEN_MS);
    if (!('cases' in answer)) throw new Error('a slot answered something else');
    return answer.cases;
  }

  async run(name: string, deadlineMs: number): Promise<CaseResult> {
    const answer = await this.#ask({ run: name }, deadlineMs);
    if (!('ran' in answer)) throw new Error('a slot answered something else');
    return answer.ran;
  }

  async close(): Promise<void> {
    await this.#ask({ close: true }, OPEN_MS);
    this.#child.disconnect();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(message: ToSlot, deadlineMs: number): Promise<FromSlot> {
    const child = this.#child;
    const answer = await new Promise<FromSlot>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(late);
        child.off('message', onMessage).off('exit', onExit);
      };
      const onMessage = (said: unknown): void => {
        done();
        resolve(said as FromSlot);
      };
      const onExit = (code: number | null, signal: string | null): void => {
        done();
        reject(new Error(`the slot ended with ${signal ?? code}`));
      };
      const late = setTimeout(() => {
        done();
        reject(new Error(`it did not end within ${deadlineMs / 1000} s`));
      }, deadlineMs);
      child.once('message', onMessage).once('exit', onExit);
      child.send(message);
    });
    if ('failed' in answer) throw new Error(answer.failed);
    return answer;
  }
}
