/** An intent, or recovery, on a host without Postgres: what `work-on.ts` and `recover.ts` of the agent do, less the database. */
import { randomUUID } from 'node:crypto';
import { runCapture } from '../../agent/capture/capture.ts';
import { takeHostLock } from '../../agent/claim/host-lock.ts';
import { Spool } from '../../agent/claim/spool.ts';
import { SpooledControl } from '../../agent/claim/spooled-control.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { failure } from '../../agent/intents/run-intent.ts';
import { recoverHost } from '../../agent/recover-host.ts';
import { runRestore } from '../../agent/restore/restore.ts';
import type { Outcome } from '../../db/results.ts';

/** What a driver prints. */
export interface Told {
  readonly intents: readonly { readonly intentId: string; readonly outcome: Outcome }[];
}

export async function work(deps: AgentDeps, intent: ClaimedIntent): Promise<Told> {
  const lock = takeHostLock(deps.config.stateDir, randomUUID());
  let spool: Spool | null = null;
  try {
    spool = Spool.open(deps.config.stateDir, intent.id);
    spool.hold(1, 0);
    const control = new SpooledControl(spool, deps.now);
    const run = intent.kind === 'capture' ? runCapture : runRestore;
    const outcome = await deps.locks
      .withWorkloadLock(intent.workload.id, (held) => run(deps, held, intent, control))
      .catch(failure);
    spool.append({ type: 'finish', outcome });
    return { intents: [{ intentId: intent.id, outcome }] };
  } finally {
    spool?.close();
    lock.release();
  }
}

export async function recoverAll(deps: AgentDeps): Promise<Told> {
  const lock = takeHostLock(deps.config.stateDir, randomUUID());
  try {
    const { intents } = await recoverHost(deps);
    return {
      intents: intents.map(({ intentId, outcome, error }) => ({
        intentId,
        outcome: outcome ?? { state: 'stuck', result: null, error },
      })),
    };
  } finally {
    lock.release();
  }
}
