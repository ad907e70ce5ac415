/**
 * An agent's hold on intents in a process of its own, so that it can be stopped in the middle of anything. It does what it is told
 * over IPC, one message after the other, with the agent's own lease, control and delivery.
 */
import { pino } from 'pino';
import { AgentDatabase } from '../../agent/claim/agent-database.ts';
import { Delivery } from '../../agent/claim/delivery.ts';
import { HeldControl } from '../../agent/claim/held-control.ts';
import type { Spool } from '../../agent/claim/spool.ts';
import { toRefloatError } from '../../db/errors.ts';
import { claimIntent } from '../../db/queries/claim-intent.ts';
import type { Outcome } from '../../db/results.ts';

export type HolderOrder =
  | {
      readonly open: {
        readonly url: string;
        readonly hostId: string;
        readonly instance: string;
        readonly stateDir: string;
      };
    }
  | { readonly claim: true }
  | { readonly start: true }
  | { readonly event: string }
  /** The question of the commit point; `early`: it is prepared as while containers stop. */
  | { readonly confirm: 'early' | 'now' }
  | { readonly finish: Outcome }
  /** Hours by which the agent's clock is off from now on. */
  | { readonly clock: number }
  | { readonly close: true };

/** `gave`: what a claim gave, or whether all that was spooled is settled. */
export type HolderAnswer = { readonly gave: string | boolean | null } | { readonly failed: string };

const HOUR_MS = 3_600_000;
const SETTLED_MS = 30_000;
const log = pino({ level: 'silent' });
let database: AgentDatabase | null = null;
let delivery: Delivery | null = null;
let held: { readonly control: HeldControl; readonly spool: Spool } | null = null;
let opened: Extract<HolderOrder, { open: unknown }>['open'] | null = null;
let offMs = 0;
const now = (): Date => new Date(Date.now() + offMs);

async function obey(order: HolderOrder): Promise<string | boolean | null> {
  if ('open' in order) {
    opened = order.open;
    database = new AgentDatabase(opened.url);
    delivery = new Delivery({ database, stateDir: opened.stateDir, hostId: opened.hostId, log });
    return true;
  }
  if ('clock' in order) {
    offMs = order.clock * HOUR_MS;
    return true;
  }
  if (database === null || delivery === null || opened === null) throw new Error('not open');
  if ('claim' in order) return claim(database, delivery, opened);
  if ('close' in order) {
    await delivery.stop();
    await database.close();
    return true;
  }
  if (held === null) throw new Error('nothing is held');
  const { control, spool } = held;
  if ('start' in order) await control.started();
  else if ('event' in order) control.emit('step', { step: order.event, status: 'done', ms: 1 });
  else if ('confirm' in order) {
    if (order.confirm === 'early') control.prepareCommit();
    await control.confirmCommit();
  } else {
    await control.stop();
    spool.append({ type: 'finish', outcome: order.finish });
    held = null;
    return delivery.flush(SETTLED_MS);
  }
  return true;
}

async function claim(
  database: AgentDatabase,
  delivery: Delivery,
  { hostId, instance }: NonNullable<typeof opened>,
): Promise<string | null> {
  const row = await database.attempt((sql) => claimIntent(sql, hostId, instance));
  if (row === null) return null;
  const spool = delivery.hold(row.id, row.leaseEpoch, row.lastSeq);
  const holder = { intentId: row.id, hostId, leaseEpoch: row.leaseEpoch };
  held = { spool, control: new HeldControl({ database, holder, spool, now, log }) };
  return row.id;
}

let before: Promise<unknown> = Promise.resolve();
process.on('message', (order: HolderOrder) => {
  before = before
    .then(() => obey(order))
    .then((gave): HolderAnswer => ({ gave }))
    .catch((error: unknown): HolderAnswer => ({ failed: toRefloatError(error).code }))
    .then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));
