/** What an intent may ask of the side that talks with Postgres, while this agent holds it. See intent-control.ts. */
import type { Logger } from 'pino';
import { RefloatError } from '../../db/errors.ts';
import type { Holder } from '../../db/queries/agent-statement.ts';
import { isStillOurs } from '../../db/queries/is-still-ours.ts';
import { type CommitAnswer, markCommitted } from '../../db/queries/mark-committed.ts';
import { type Renewed, renewLease } from '../../db/queries/renew-lease.ts';
import { startIntent } from '../../db/queries/start-intent.ts';
import type { IntentEvent, Progress } from '../../db/results.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Lease } from './lease.ts';
import { ProgressReporter } from './progress-reporter.ts';
import type { Spool } from './spool.ts';
import { SpooledControl } from './spooled-control.ts';

/** The containers may be stopped while this is asked: a database that does not answer must not prolong the downtime. */
const COMMIT_LIMIT_MS = 2000;
const COMMIT_TRIES = 3;
/** A database that was away longer ago than this is asked again. */
const AWAY_FRESH_MS = 5000;

export interface HeldControlOptions {
  readonly database: AgentDatabase;
  readonly holder: Holder;
  readonly spool: Spool;
  readonly now: () => Date;
  readonly log: Logger;
}

export class HeldControl extends SpooledControl {
  readonly #options: HeldControlOptions;
  readonly #abort: AbortController;
  readonly #lease: Lease;
  readonly #progress: ProgressReporter;
  /** Resolves to the moment, on the clock of `performance.now()`, at which Postgres was found away; null when it is there. */
  #foundAway: Promise<number | null> | null = null;

  constructor(options: HeldControlOptions) {
    const abort = new AbortController();
    super(options.spool, options.now, abort.signal);
    this.#abort = abort;
    this.#options = options;
    const { database, holder, log } = options;
    this.#progress = new ProgressReporter(database, holder);
    this.#lease = new Lease({
      database,
      holder,
      log,
      onCancel: () => {
        if (!this.signal.aborted) log.info('cancel requested');
        this.#abort.abort(cancelled());
      },
      onLost: () => this.#abort.abort(leaseLost()),
    });
  }

  /** Postgres has news of this intent. */
  look(): void {
    this.#lease.look();
  }

  /** The agent must stop now. What is past its commit point goes on; what is not is taken back. */
  interrupt(): void {
    this.#abort.abort(
      new RefloatError('INTERRUPTED', 'the agent was told to stop at once', {
        hint: 'What had begun was taken back. Start it again if you still want it.',
        disposition: 'fail',
      }),
    );
  }

  /** The work begins. @throws RefloatError `LEASE_LOST`; `EXPIRED`: it waited for its turn beyond `not_after` */
  async started(): Promise<void> {
    const { database, holder, log } = this.#options;
    let renewed: Renewed | null;
    try {
      if (await database.attempt((sql) => startIntent(sql, holder), COMMIT_LIMIT_MS)) return;
      renewed = await database.attempt((sql) => renewLease(sql, holder), COMMIT_LIMIT_MS);
    } catch (thrown) {
      log.warn(
        { intentId: holder.intentId, error: asRefloatError(thrown).toJSON() },
        'the start is not recorded in Postgres',
      );
      return;
    }
    throw renewed?.expired === true ? expired() : leaseLost();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#lease.stop(), this.#progress.stop()]);
  }

  override emit(type: IntentEvent['type'], data: IntentEvent['data'], quietly = false): void {
    super.emit(type, data, quietly);
    if (!quietly && type === 'step' && data['status'] === 'started' && typeof data['step'] === 'string')
      this.#progress.step(data['step']);
  }

  override progress(progress: Progress): void {
    this.#progress.progress(progress);
  }

  override async confirmStop(): Promise<void> {
    const { database, holder, log } = this.#options;
    try {
      const renewed = await database.attempt((sql) => renewLease(sql, holder), COMMIT_LIMIT_MS);
      if (renewed?.expired !== true) return;
    } catch (thrown) {
      log.warn({ intentId: holder.intentId, error: asRefloatError(thrown).toJSON() }, 'stopping without the database');
      return;
    }
    throw expired();
  }

  /** Renews the lease, so that it has its margin, and learns whether Postgres is there at all; a cancel is accepted until `confirmCommit`. */
  override prepareCommit(): void {
    const { database, holder } = this.#options;
    this.#foundAway = database
      .attempt((sql) => renewLease(sql, holder), COMMIT_LIMIT_MS)
      .then(
        () => null,
        (thrown: unknown) => (asRefloatError(thrown).code === 'DATABASE_UNAVAILABLE' ? performance.now() : null),
      );
  }

  override async confirmCommit(): Promise<void> {
    const awaySince = await this.#foundAway;
    this.#foundAway = null;
    const isAway = awaySince !== null && performance.now() - awaySince < AWAY_FRESH_MS;
    const answer = isAway ? 'away' : await this.#askToCommit();
    switch (answer) {
      case 'committed':
        return;
      case 'cancelled':
        throw cancelled();
      case 'expired':
        throw expired();
      case 'lease_short':
      case 'lost':
        throw leaseLost();
      case 'away':
        this.signal.throwIfAborted();
        this.#options.log.warn(
          { intentId: this.#options.holder.intentId },
          'passing the commit point without the database',
        );
        return;
      default:
        answer satisfies never;
    }
  }

  async #askToCommit(): Promise<CommitAnswer | 'away'> {
    const { database, holder } = this.#options;
    let answer: CommitAnswer | 'away' = 'away';
    const until = performance.now() + COMMIT_LIMIT_MS;
    for (let tries = 0; tries < COMMIT_TRIES && performance.now() < until; tries++) {
      try {
        answer = await database.attempt((sql) => markCommitted(sql, holder), until - performance.now());
        if (answer === 'lease_short') {
          await database.attempt((sql) => renewLease(sql, holder), until - performance.now());
        } else if (answer === 'lost' && (await database.attempt((sql) => isStillOurs(sql, holder)))) {
          // The claim is forgotten; if it is not made again by then, Postgres cannot say anything else than when it is away.
          answer = 'away';
        } else {
          return answer;
        }
      } catch (thrown) {
        // A pooled connection that broke meanwhile fails once; a database that is away fails every time.
        answer = 'away';
        const error = asRefloatError(thrown);
        if (error.code !== 'DATABASE_UNAVAILABLE') throw error;
      }
    }
    return answer;
  }
}

export function cancelled(): RefloatError {
  return new RefloatError('CANCELLED', 'cancelled on request', {
    hint: 'Nothing was changed, or it was taken back.',
    disposition: 'fail',
  });
}

export function expired(): RefloatError {
  return new RefloatError('EXPIRED', 'the time by which this had to begin is over', {
    hint: 'Nothing was changed, or it was taken back. Ask again.',
    disposition: 'fail',
  });
}

function leaseLost(): RefloatError {
  return new RefloatError('LEASE_LOST', 'this agent no longer holds the intent', {
    hint: 'Another agent with the identity of this host took it, or a person ended it. See "refloat-agent status" on this host.',
    disposition: 'fail',
  });
}
