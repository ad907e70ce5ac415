/**
 * Swap: the new trees become live. Input: the staged targets and stopped containers.
 *
 * The commit point of a restore is the durable record `commit`: a crash before it unwinds, a crash after it finishes the
 * exchange. The inodes of both sides are durable with that, so what happened to each volume can always be told. The exchange
 * itself is made durable by redeploy, right before the containers start.
 *
 * Where entries change places instead of directories (mount points), the application changes them as soon as it runs. So that they
 * have arrived is durable before that; from then on nobody looks for the new ones, and the way back is planned from the disk, once it
 * has ended.
 */
import { dirname } from 'node:path';
import { RefloatError } from '../../../db/errors.ts';
import { allToTheEnd } from '../../deploy/container-error.ts';
import { type Outsider, outsidersAmong } from '../../deploy/outsiders.ts';
import { assertStopped } from '../../deploy/quiesce.ts';
import { identify, makeDirectoriesDurably, removeEmptyDirectory } from '../../fs/durable.ts';
import { keepingTime } from '../../fs/keeping-time.ts';
import { crashPoint } from '../crash-point.ts';
import {
  assertDecidable,
  exchangeBack,
  exchangeForward,
  movesAsOne,
  oldSideOf,
  planExchange,
  planReturn,
  probeExchange,
  syncExchanges,
  undecidable,
} from '../exchange.ts';
import { probeOldSide, probePair } from '../exchange-pair.ts';
import type { Exchange, RestoreFacts, Target } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';
import { sharedWith } from '../sharing.ts';
import { stopAll } from './quiesce.ts';

export const swap: Step<RestoreFacts, 'swap'> = {
  name: 'swap',
  undoMoves: 'data',
  beginsWithCommit: true,
  settledBy: 'redeploy',
  downtime: 'within',

  async act(context) {
    const { targets } = context.fact('preflight');
    if (context.committed()) {
      const ahead = notArrived(context);
      // After a crash in the middle somebody may have started a container meanwhile.
      if (ahead.some((exchange) => probeExchange(exchange) !== 'after')) {
        await stopAll(context);
        await warnOfOutsiders(context);
      }
      assertDecidable(ahead);
    } else {
      for (const target of targets) await standIn(context, target);
      // At once, and with one sync: the workload is down meanwhile.
      await allToTheEnd([context.control.confirmCommit(), refuseActive(context)]);
      context.signal.throwIfAborted();
      context.commit({
        notes: { exchanges: targets.filter(({ within }) => within === null).map(plan) },
        begins: 'redeploy',
      });
    }
    for (const exchange of notArrived(context)) {
      crashPoint(`swap-before:${exchange.volume}`);
      exchangeForward(exchange);
      crashPoint(`swap-after:${exchange.volume}`);
    }
    noteArrival(context);
    return { exchanged: context.fact('exchanges').map((exchange) => exchange.volume) };
  },

  async undo(context) {
    const { fact, factOrNull, note } = context;
    const exchanges = wayBack(context);
    assertDecidable(exchanges);
    if (factOrNull('arrived') !== null && factOrNull('returning') === null) note('returning', exchanges);
    for (const exchange of [...exchanges].reverse()) {
      crashPoint(`swap-undo-before:${exchange.volume}`);
      exchangeBack(exchange);
      crashPoint(`swap-undo-after:${exchange.volume}`);
    }
    const made = factOrNull('parents') ?? [];
    for (const target of [...fact('preflight').targets].reverse()) {
      // A deploy of another workload that shares it may have made it meanwhile, and run on it.
      if (!target.existed && made.includes(target.live)) await removeStandIn(target);
    }
  },

  async probe(context) {
    const exchanges = wayBack(context, oldSideOf);
    const probe = ({ volume }: Exchange) => (mayBeRunOn(context).includes(volume) ? probeOldSide : probePair);
    const lost = exchanges.find((exchange) => probeExchange(exchange, probe(exchange)) === 'undecidable');
    if (lost !== undefined) return { found: 'undecidable', what: undecidable(lost, probe(lost)).message };
    const states = new Set(exchanges.map((exchange) => probeExchange(exchange, probe(exchange))));
    if (states.size === 1 && states.has('after')) return { found: 'done' };
    return { found: states.size === 0 || (states.size === 1 && states.has('before')) ? 'not-done' : 'partly' };
  },
};

/** What is still to be brought live: an application may run on the rest by now, or have run. */
function notArrived({ fact, factOrNull }: StepContext<RestoreFacts>): readonly Exchange[] {
  const arrived = factOrNull('arrived') ?? [];
  return fact('exchanges').filter(({ volume }) => !arrived.includes(volume));
}

/** Volumes whose entries an application may be changing. The way back is noted, and so decided by, only once it has ended. */
function mayBeRunOn({ factOrNull }: StepContext<RestoreFacts>): readonly string[] {
  return factOrNull('returning') === null ? (factOrNull('arrived') ?? []) : [];
}

/** Before a container may start; durable itself only behind what it says. */
function noteArrival({ fact, factOrNull, note }: StepContext<RestoreFacts>): void {
  const byEntries = fact('exchanges').filter((exchange) => !movesAsOne(exchange));
  if (byEntries.length === 0 || factOrNull('arrived') !== null) return;
  syncExchanges(byEntries);
  note(
    'arrived',
    byEntries.map(({ volume }) => volume),
  );
}

/**
 * By which inodes the exchanges can be told and taken back, whether or not an application ran meanwhile.
 * @param ofArrived where it may have; to look while it may be running, `oldSideOf`
 */
function wayBack({ factOrNull }: StepContext<RestoreFacts>, ofArrived = planReturn): readonly Exchange[] {
  const returning = factOrNull('returning');
  if (returning !== null) return returning;
  const arrived = factOrNull('arrived') ?? [];
  return (factOrNull('exchanges') ?? []).map((exchange) =>
    arrived.includes(exchange.volume) ? ofArrived(exchange) : exchange,
  );
}

/**
 * Where there was no live directory, an empty one stands in for it; so the state before can be held and undone like any other.
 * What is made is remembered first, and in a tree that is the user's it does not show in the times of what was there.
 */
async function standIn({ factOrNull, note }: StepContext<RestoreFacts>, { live, existed }: Target): Promise<void> {
  if (existed) return;
  const missing: string[] = [];
  for (let path = live; identify(path) === null; path = dirname(path)) missing.unshift(path);
  const [first] = missing;
  if (first === undefined) return;
  note('parents', [...(factOrNull('parents') ?? []), ...missing]);
  await keepingTime(dirname(first), () => makeDirectoriesDurably(live));
}

async function removeStandIn({ live, within }: Target): Promise<void> {
  if (within === null) removeEmptyDirectory(live);
  else if (identify(live) !== null) await keepingTime(dirname(live), () => removeEmptyDirectory(live));
}

/** Which inodes change places. */
function plan(target: Target): Exchange {
  const exchange = planExchange(target);
  if (exchange !== null) return exchange;
  throw new RefloatError(
    'FILE_SYSTEM_FAILED',
    `the live or the staged directory of volume "${target.volume}" is gone`,
    {
      hint: 'Something else removed it during the restore. Nothing was changed; try again.',
      disposition: 'fail',
      details: { volume: target.volume, live: target.live, staging: target.staging },
    },
  );
}

/**
 * What was stopped runs no more, and a container that began to use the paths since preflight (a restart policy, another tool)
 * would run on half the data. Docker's list lags behind stops and starts; what it says of a container itself waits for a start that is
 * under way. So both are asked, at once: the workload is down meanwhile.
 */
async function refuseActive(context: StepContext<RestoreFacts>): Promise<void> {
  const { deps, fact } = context;
  const recorded = [...fact('containers'), ...fact('others')];
  const [[outsider]] = await allToTheEnd([activeOutsiders(context), assertStopped(deps.engine, recorded)]);
  if (outsider === undefined) return;
  const { message, hint, details } = sharedWith(outsider);
  throw new RefloatError('OUTSIDER', message, { hint, ...(details === undefined ? {} : { details }) });
}

/** Behind the commit point nobody can be refused: who was started on the paths while the agent was down is named. */
async function warnOfOutsiders(context: StepContext<RestoreFacts>): Promise<void> {
  for (const { name, path } of await activeOutsiders(context))
    context.warn(
      `the container "${name}" was started on ${path} during the restore, and may have seen both versions; restart it`,
    );
}

/** Active containers on the paths that were not recorded, and so were started since. */
async function activeOutsiders({ deps, fact }: StepContext<RestoreFacts>): Promise<Outsider[]> {
  const recorded = new Set([...fact('containers'), ...fact('others')].map(({ id }) => id));
  const active = await deps.engine.activeMounts();
  return outsidersAmong(
    active.filter(({ id }) => !recorded.has(id)),
    fact('preflight').targets.map((target) => target.live),
  );
}
