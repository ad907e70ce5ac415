/**
 * Writes an intent and answers 202 with it; or 409, with the id of the intent that is in its way.
 *
 * Guarantees: of any number of requests at the same moment, in any number of processes, the database lets one through.
 */
import type { Queryable } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import { newId } from '../db/ids.ts';
import { EXCLUSIVE_KINDS, type IntentKind } from '../db/intent-state.ts';
import { findIntentUnderWay } from '../db/queries/find-intent-under-way.ts';
import { findStuckIntent } from '../db/queries/find-stuck-intent.ts';
import type { WorkloadRow } from '../db/queries/find-workload.ts';
import { type IntentRow, insertIntent, type NewIntent } from '../db/queries/insert-intent.ts';
import type { AppContext } from './deps.ts';
import { type Done, runOnce } from './run-once.ts';
import { intentAnswer } from './wire.ts';

type Wanted = Omit<Asked, 'workloadId' | 'hostId'>;
type Asked = Omit<NewIntent, 'id' | 'requestedBy' | 'notAfter'> & { readonly notAfter?: Date | undefined };

/** How often an insert is tried when the intent in its way is over before it can be named. */
const ATTEMPTS = 5;

/**
 * @param check what the state of workload, snapshot or intent decides, in the same transaction: by what it returns, kept as the
 *   key's answer, or throws, which is not. A repeated request gets its first answer without it, whatever has changed since.
 */
export async function startIntent(
  c: AppContext,
  { id: workloadId, hostId }: Pick<WorkloadRow, 'id' | 'hostId'>,
  wanted: Wanted,
  check: (db: Queryable) => Promise<RefloatError | undefined>,
): Promise<Response> {
  await c.get('limit')('workload', workloadId);
  return runOnce(c, async (db) => (await check(db)) ?? insertOrRefuse(db, c, { ...wanted, workloadId, hostId }));
}

export function accepted(intent: IntentRow): Done {
  return {
    status: 202,
    headers: { location: `/api/intents/${intent.id}` },
    body: intentAnswer(intent),
    target: `intent:${intent.id}`,
    details: {
      ...{ kind: intent.kind, workloadId: intent.workloadId, snapshotId: intent.snapshotId, undoOf: intent.undoOf },
      // An import says by which policy: `faithful` is a person's decision.
      ...(intent.kind === 'import' ? intent.params : {}),
    },
  };
}

async function insertOrRefuse(
  db: Queryable,
  c: AppContext,
  { notAfter, ...asked }: Asked,
): Promise<Done | RefloatError> {
  const exclusive = (EXCLUSIVE_KINDS as readonly IntentKind[]).includes(asked.kind);
  const stuck = exclusive ? await findStuckIntent(db, asked.workloadId) : null;
  if (stuck !== null) {
    return new RefloatError('WORKLOAD_STUCK', `a ${stuck.kind} of this workload is stuck and waits for a person`, {
      hint: 'Look at that intent, repair the host as its error says, and run `refloat-agent recover` there.',
      details: { intentId: stuck.id, kind: stuck.kind },
    });
  }
  const requestedBy = c.get('principal')?.subject ?? 'anonymous';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const intent = await insertIntent(db, {
      id: newId(),
      requestedBy,
      ...asked,
      ...(notAfter === undefined ? {} : { notAfter }),
    });
    if (intent !== null) return accepted(intent);
    const rival = await findIntentUnderWay(db, asked.workloadId);
    if (rival !== null) {
      return new RefloatError('INTENT_UNDER_WAY', `a ${rival.kind} of this workload is under way`, {
        hint: 'Wait for it (GET /api/intents/{id}/events), or cancel it, then ask again.',
        details: { intentId: rival.id, kind: rival.kind, state: rival.state },
      });
    }
  }
  return new RefloatError('INTENT_UNDER_WAY', 'other intents of this workload keep coming first', {
    hint: 'Ask again.',
  });
}
