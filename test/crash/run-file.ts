/**
 * How far a run has come, in a file from which the same command goes on after an interruption: a full run takes hours, and cases do
 * not depend on each other. A case that was under way is run again.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { SweepProgress, SweepSummary } from './runner.ts';

interface Content {
  /** What is run: it goes on only as what it began as, on the same commit. */
  readonly seed: string;
  readonly sweeps: readonly string[];
  /** Of each sweep's full count; `sample` stands for those of `npm test`. */
  readonly share: number | 'sample';
  readonly commit: string;
  /** RFC 3339, when it was begun first. */
  readonly at: string;
  /** How often it was interrupted. */
  readonly interruptions: number;
  readonly done: readonly SweepSummary[];
  readonly current: SweepProgress | null;
}

const WRITE_EVERY_MS = 10_000;

export class RunFile {
  readonly #path: string;
  #content: Content;
  #written = 0;

  private constructor(path: string, content: Content) {
    this.#path = path;
    this.#content = content;
  }

  /**
   * Begins a run, or goes on with it if the file is there.
   * @param seed a function makes one if the file has none
   * @throws Error if the file is of another run
   */
  static open(
    path: string,
    seed: string | (() => string),
    { sweeps, share }: { readonly sweeps: readonly string[]; readonly share: number | 'sample' },
  ): RunFile {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    if (!existsSync(path)) {
      const at = new Date().toISOString();
      const begun = {
        seed: typeof seed === 'string' ? seed : seed(),
        sweeps,
        share,
        commit,
        at,
        interruptions: 0,
        done: [],
        current: null,
      };
      return new RunFile(path, begun);
    }
    const found = JSON.parse(readFileSync(path, 'utf8')) as Content;
    const same = JSON.stringify([typeof seed === 'string' ? seed : found.seed, sweeps, share, commit]);
    if (JSON.stringify([found.seed, found.sweeps, found.share, found.commit]) !== same)
      throw new Error(
        `${path} is of another run: seed ${found.seed}, commit ${found.commit}, share ${found.share}, sweeps ${found.sweeps.join()}`,
      );
    const isOver = found.done.length === sweeps.length;
    return new RunFile(path, { ...found, interruptions: found.interruptions + (isOver ? 0 : 1) });
  }

  get content(): Content {
    return this.#content;
  }

  /** Of this sweep; null if it has not begun. */
  progressOf(name: string): SweepProgress | null {
    const { current } = this.#content;
    return current?.summary.name === name ? current : null;
  }

  summaryOf(name: string): SweepSummary | null {
    return this.#content.done.find((summary) => summary.name === name) ?? null;
  }

  /** Written at most every 10 s. */
  progress(make: () => SweepProgress): void {
    if (performance.now() - this.#written < WRITE_EVERY_MS) return;
    this.#write({ ...this.#content, current: make() });
  }

  sweepDone(summary: SweepSummary): void {
    this.#write({ ...this.#content, done: [...this.#content.done, summary], current: null });
  }

  #write(content: Content): void {
    this.#content = content;
    this.#written = performance.now();
    writeFileSync(`${this.#path}.next`, `${JSON.stringify(content)}\n`);
    renameSync(`${this.#path}.next`, this.#path);
  }
}
