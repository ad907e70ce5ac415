/** The intent's step and figures in Postgres: the latest only, at most twice a second, lost while Postgres is away. */
import type { Holder } from '../../db/queries/agent-statement.ts';
import { updateProgress } from '../../db/queries/update-progress.ts';
import type { Progress } from '../../db/results.ts';
import type { AgentDatabase } from './agent-database.ts';
import { Bell } from './bell.ts';

const PAUSE_MS = 500;
const IDLE_MS = 60_000;

export class ProgressReporter {
  readonly #database: AgentDatabase;
  readonly #holder: Holder;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;
  #step: string | null = null;
  #progress: Progress | null = null;
  #changed = false;

  constructor(database: AgentDatabase, holder: Holder) {
    this.#database = database;
    this.#holder = holder;
    this.#work = this.#report();
  }

  /** A new step begins; its figures begin with it. */
  step(name: string): void {
    this.#step = name;
    this.#progress = null;
    this.#change();
  }

  progress(progress: Progress): void {
    this.#progress = progress;
    this.#change();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  #change(): void {
    this.#changed = true;
    this.#bell.ring();
  }

  async #report(): Promise<void> {
    const { signal } = this.#stop;
    const pause = new Bell();
    while (!signal.aborted) {
      await this.#bell.wait(IDLE_MS, signal);
      if (!this.#changed || signal.aborted) continue;
      this.#changed = false;
      const [step, progress] = [this.#step, this.#progress];
      await this.#database.attempt((sql) => updateProgress(sql, this.#holder, step, progress)).catch(() => undefined);
      await pause.wait(PAUSE_MS, signal);
    }
  }
}
