/** One claimed intent from its row to its spooled outcome. */
import { RefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import type { ClaimedRow } from '../../db/queries/claim-intent.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import type { Outcome } from '../../db/results.ts';
import { findDeploysToRepair } from '../deploy/repair-deploy.ts';
import type { AgentDeps } from '../deps.ts';
import { isNoSpace } from '../fs/durable.ts';
import { requireAllowedKind } from '../intents/host-limits.ts';
import { parseClaim } from '../intents/parse-claim.ts';
import { failure, runIntent } from '../intents/run-intent.ts';
import { readJournal } from '../restore/journal-dir.ts';
import type { AgentDatabase } from './agent-database.ts';
import type { Delivery } from './delivery.ts';
import { cancelled, expired, HeldControl } from './held-control.ts';
import { reRegister } from './re-register.ts';
import type { Spool } from './spool.ts';

/** An intent that was begun this often without coming to an end takes the agent down with it; it is not begun again. */
const MAX_ATTEMPTS = 5;

export interface WorkOptions {
  readonly deps: AgentDeps;
  readonly database: AgentDatabase;
  readonly delivery: Delivery;
  readonly hostId: string;
  readonly row: ClaimedRow;
  readonly onControl: (control: HeldControl) => void;
}

/** Returns when the outcome is spooled; its delivery goes on behind. */
export async function workOn({ deps, database, delivery, hostId, row, onControl }: WorkOptions): Promise<void> {
  if (!isUuid(row.id)) return refuseUnnamed(database, hostId, row);
  const log = deps.log.child({ intentId: row.id, kind: row.kind });
  let spool: Spool;
  try {
    spool = delivery.hold(row.id, row.leaseEpoch, row.lastSeq);
  } catch (thrown) {
    return refuseUnspooled(deps, database, hostId, row, thrown);
  }
  if (await isSettled(deps, spool, row, hostId)) {
    log.info('already done on this host; its recorded outcome is delivered');
    return;
  }
  const holder = { intentId: row.id, hostId, leaseEpoch: row.leaseEpoch };
  const control = new HeldControl({ database, holder, spool, now: deps.now, log });
  onControl(control);
  log.info({ attempt: row.attempts }, 'begins');
  let outcome: Outcome | null = null;
  try {
    refuseBeforehand(row);
    const intent = parseClaim(row, hostId);
    requireAllowedKind(deps.config, intent);
    outcome = await runIntent(deps, intent, control);
  } catch (thrown) {
    outcome = failure(thrown);
  } finally {
    await control.stop();
  }
  if (isLeftForNextStart(outcome, row)) {
    log.warn('interrupted; the next start of the agent begins it again');
    return;
  }
  spool.append({ type: 'finish', outcome });
  log.info({ state: outcome.state, ...(outcome.error === null ? {} : { error: outcome.error }) }, 'ends');
}

/** An intent whose id cannot name a file has no spool: it is ended right here. */
async function refuseUnnamed(database: AgentDatabase, hostId: string, row: ClaimedRow): Promise<void> {
  const error = new RefloatError('VALIDATION_FAILED', 'the id of the intent is not one', {
    hint: 'Somebody else than the control plane wrote it: look at who has the database’s password.',
  });
  await failWithoutSpool(database, hostId, row, error);
}

/** The state directory takes no file: what has not begun is ended right here, and what has waits until there is room. */
async function refuseUnspooled(
  deps: AgentDeps,
  database: AgentDatabase,
  hostId: string,
  row: ClaimedRow,
  cause: unknown,
): Promise<void> {
  const { state, damage } = readJournal(deps.config.stateDir, row.id);
  if (state !== null || damage !== null || row.state !== 'claimed') throw cause;
  const errno = (cause as NodeJS.ErrnoException).code;
  const error = new RefloatError(
    isNoSpace(cause) ? 'DISK_FULL' : 'FILE_SYSTEM_FAILED',
    `the host cannot write to its state directory${errno === undefined ? '' : ` (${errno})`}`,
    {
      hint: `Nothing was begun. Make room below ${deps.config.stateDir}: bytes and inodes.`,
      disposition: 'fail',
      cause,
    },
  );
  deps.log.error({ intentId: row.id, error: error.toJSON() }, 'refused, since nothing can be spooled');
  await failWithoutSpool(database, hostId, row, error);
}

async function failWithoutSpool(
  database: AgentDatabase,
  hostId: string,
  { id, leaseEpoch }: ClaimedRow,
  error: RefloatError,
): Promise<void> {
  const outcome: Outcome = { state: 'failed', result: null, error: error.toJSON() };
  await database.attempt((sql) => finishIntent(sql, { intentId: id, hostId, leaseEpoch }, outcome));
}

/** The intent ran to its end on this host, whatever Postgres remembers of it; the outcome is in the spool or in the journal. */
async function isSettled(deps: AgentDeps, spool: Spool, row: ClaimedRow, hostId: string): Promise<boolean> {
  const { state, damage } = readJournal(deps.config.stateDir, row.id);
  const recorded = state?.outcome ?? null;
  if (!spool.isDelivered && spool.outcome !== null && (recorded === null || recorded.state === spool.outcome.state))
    return true;
  // Damaged, recorded as stuck, or without an outcome: the disk took no more records.
  const isStuck = damage !== null || recorded?.state === 'stuck' || (state !== null && recorded === null);
  if (row.state === 'stuck' && isStuck) return true;
  if (row.state === 'stuck' && recorded === null) return await settleRepaired(deps, spool, row, hostId);
  if (state === null || recorded === null) return false;
  // Postgres has forgotten what was delivered once (a failover, a backup put back): all of it is said again.
  reRegister(deps, state.intent, recorded, spool);
  spool.append({ type: 'finish', outcome: recorded });
  return true;
}

/** Stuck, and nothing on this host says so any more: recovery has taken a deploy back, or a person has moved the journal away. */
async function settleRepaired(deps: AgentDeps, spool: Spool, row: ClaimedRow, hostId: string): Promise<true> {
  if (row.kind === 'deploy' && (await findDeploysToRepair(deps.engine, hostId)).includes(row.workloadId)) return true;
  const error = new RefloatError('INTERRUPTED', 'what was stuck was put right on the host', {
    hint: 'Look at the workload, then start this again if you still want it.',
    disposition: 'fail',
  });
  const state = row.kind === 'deploy' ? 'rolled_back' : 'failed';
  spool.append({ type: 'finish', outcome: { state, result: null, error: error.toJSON() } });
  return true;
}

function refuseBeforehand(row: ClaimedRow): void {
  if (row.cancelRequested && row.state !== 'running') throw cancelled();
  if (row.expired && row.state !== 'running') throw expired();
  if (row.attempts > MAX_ATTEMPTS) {
    throw new RefloatError('INTERRUPTED', `begun ${row.attempts - 1} times without coming to an end`, {
      hint: 'Look at the log of the agent on the host: something ends it each time. Nothing was left half done.',
      disposition: 'fail',
    });
  }
}

/** Kinds without a journal leave nothing behind when the agent must stop, so they are simply begun again. */
function isLeftForNextStart(outcome: Outcome, row: ClaimedRow): boolean {
  const hasJournal = row.kind === 'restore' || row.kind === 'undo' || row.kind === 'capture';
  return !hasJournal && outcome.error?.code === 'INTERRUPTED' && row.attempts <= MAX_ATTEMPTS;
}
