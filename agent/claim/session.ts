/** Everything of a running agent that speaks with Postgres, put together, and taken apart again in order. */
import { RefloatError } from '../../db/errors.ts';
import { ownHostId } from '../../db/queries/own-host-id.ts';
import type { AgentDeps } from '../deps.ts';
import { AGENT_VERSION } from '../version.ts';
import type { AgentDatabase } from './agent-database.ts';
import { ClaimLoop } from './claim-loop.ts';
import { Delivery } from './delivery.ts';
import { type HostHold, takeHost } from './host-hold.ts';
import { keepHouse } from './housekeeping.ts';
import { processIdentity } from './process-identity.ts';
import { Wake } from './wake.ts';

/** How long an agent that ends waits for Postgres to take what is spooled; the rest waits for the next start. */
const FLUSH_MS = 10_000;

export interface SessionOptions {
  readonly deps: AgentDeps;
  readonly database: AgentDatabase;
  readonly databaseUrl: string;
  readonly instance: string;
  /** Aborted to drain. */
  readonly stop: AbortSignal;
}

export interface AgentSession {
  readonly hostId: string;
  /** Claims and works until drained, then until everything that ran has ended. @throws RefloatError when the host was lost */
  run(): Promise<void>;
  interrupt(): void;
  /** Delivers what it can, lets the host go and closes every connection. */
  close(): Promise<void>;
}

/**
 * Takes the host. Waits while Postgres is away.
 * @throws RefloatError `AGENT_RUNNING`, `NOT_ENROLLED`; the reason of `stop`
 */
export async function openSession({
  deps,
  database,
  databaseUrl,
  instance,
  stop,
}: SessionOptions): Promise<AgentSession> {
  const hostId = deps.config.hostId ?? (await askHostId(deps, database, stop));
  let lost: RefloatError | null = null;
  const engineVersion = () =>
    deps.engine.ping().then(
      ({ version }) => version,
      () => null,
    );
  const agent = { instance, bootId: processIdentity(), version: AGENT_VERSION };
  const onLost = (error: RefloatError): void => {
    deps.log.error({ error: error.toJSON() }, 'this agent no longer holds its host; it claims nothing more');
    lost = error;
    loop.drain();
  };
  const delivery = new Delivery({
    database,
    stateDir: deps.config.stateDir,
    hostId,
    log: deps.log,
    onSettled: () => loop.notified(''),
  });
  const loop: ClaimLoop = new ClaimLoop({
    deps,
    database,
    delivery,
    hostId,
    instance,
    isNotified: () => wake?.works === true,
  });
  let wake: Wake | null = null;
  const hold: HostHold = await takeHost({ database, hostId, agent, engineVersion, log: deps.log, onLost }, stop);
  wake = new Wake(
    databaseUrl,
    hostId,
    deps.log,
    (intentId) => loop.notified(intentId),
    (lasts) => database.prepareStatements(lasts),
  );
  const closing = new AbortController();
  const housekeeping = keepHouse({ deps, database, hostId }, closing.signal);
  if (stop.aborted) loop.drain();
  stop.addEventListener('abort', () => loop.drain(), { once: true });
  return {
    hostId,
    run: async () => {
      await loop.run();
      if (lost !== null) throw lost;
    },
    interrupt: () => loop.interrupt(),
    close: async () => {
      closing.abort();
      await Promise.all([housekeeping, wake?.stop()]);
      if (!(await delivery.flush(FLUSH_MS)))
        deps.log.warn('Postgres did not take everything; the rest is delivered at the next start');
      await delivery.stop();
      await hold.release();
    },
  };
}

async function askHostId(deps: AgentDeps, database: AgentDatabase, stop: AbortSignal): Promise<string> {
  const hostId = await database.persist(ownHostId, stop, (error) =>
    deps.log.warn({ error: error.toJSON() }, 'waiting for the database'),
  );
  if (hostId !== null) return hostId;
  throw new RefloatError('NOT_ENROLLED', "the database login in REFLOAT_AGENT_DATABASE_URL is no host's", {
    hint: 'Use the address that "refloat-agent enroll" wrote to agent.json.',
  });
}
