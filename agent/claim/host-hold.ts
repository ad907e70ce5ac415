/**
 * This agent's hold on its host in Postgres, and its heartbeat.
 *
 * Guarantees: of two live agents that claim to be one host the second one is refused; a predecessor of this machine that is
 * certainly dead (also: the machine was booted since), or was silent for a minute, is replaced without a person. What was held by
 * another installation is not taken over by waiting: only a new enrollment, by a person, moves a host. An agent that was replaced
 * learns of it within a heartbeat.
 *
 * The first one is not refused: it holds the leases, and its volumes are the ones that the snapshots are of. Otherwise a copy of
 * a machine that is switched on somewhere would stop the host that it was copied from.
 */
import type { Logger } from 'pino';
import { RefloatError } from '../../db/errors.ts';
import { type AgentIdentity, HOST_SILENCE_SECONDS, type HostHolder, holdHost } from '../../db/queries/hold-host.ts';
import { readHostHolder } from '../../db/queries/read-host-holder.ts';
import { releaseHost } from '../../db/queries/release-host.ts';
import { touchHost } from '../../db/queries/touch-host.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Bell } from './bell.ts';
import { isCertainlyDead, isElsewhere } from './process-identity.ts';

const HEARTBEAT_MS = 15_000;
/** While another agent holds the host: how often to look whether its heart still beats. */
const WATCH_MS = 1000;

export interface HostHoldOptions {
  readonly database: AgentDatabase;
  readonly hostId: string;
  readonly agent: AgentIdentity;
  readonly engineVersion: () => Promise<string | null>;
  readonly log: Logger;
  /** Another agent holds the host now, or it was revoked. */
  readonly onLost: (error: RefloatError) => void;
}

/**
 * Takes the host; waits while Postgres is away, and for as long as it takes to tell whether another holder lives.
 * @throws RefloatError `AGENT_RUNNING` naming the other agent, `NOT_ENROLLED` (no such host, or revoked); the signal's reason
 */
export async function takeHost(options: HostHoldOptions, signal: AbortSignal): Promise<HostHold> {
  const { database, hostId, agent, log } = options;
  const away = (error: RefloatError) => log.warn({ error: error.toJSON() }, 'waiting for the database');
  let first: HostHolder | null = null;
  for (;;) {
    signal.throwIfAborted();
    const holder = await database.persist((sql) => readHostHolder(sql, hostId), signal, away);
    if (holder === null || holder.revoked) throw notEnrolled(hostId);
    if (holder.bootId !== null && isElsewhere(holder.bootId)) throw onOtherMachine(hostId, holder);
    const dead = holder.bootId !== null && isCertainlyDead(holder.bootId) ? holder.instance : null;
    if (await database.persist((sql) => holdHost(sql, hostId, agent, dead), signal, away)) return new HostHold(options);
    first ??= holder;
    // Its heart has beaten since: it lives. One that does not beat again is replaced once it counts as silent.
    if (holder.instance !== first.instance || holder.seenAt !== first.seenAt) throw otherAgent(hostId, holder);
    log.info(
      { instance: holder.instance },
      `another agent held this host; waiting up to ${HOST_SILENCE_SECONDS} s to see whether it lives`,
    );
    await new Bell().wait(WATCH_MS, signal);
  }
}

export class HostHold {
  readonly #options: HostHoldOptions;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(options: HostHoldOptions) {
    this.#options = options;
    this.#work = this.#beat();
  }

  /** Ends the heartbeat and lets the host go, so that the next agent need not wait. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    const { database, hostId, agent, log } = this.#options;
    await database
      .attempt((sql) => releaseHost(sql, hostId, agent.instance))
      .catch((thrown: unknown) => log.warn({ error: asRefloatError(thrown).toJSON() }, 'the host could not be let go'));
  }

  async #beat(): Promise<void> {
    const { database, hostId, agent, engineVersion, log, onLost } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const version = await engineVersion();
        if (!(await database.attempt((sql) => touchHost(sql, hostId, agent.instance, version)))) {
          const holder = await database.attempt((sql) => readHostHolder(sql, hostId));
          onLost(holder === null || holder.revoked ? notEnrolled(hostId) : otherAgent(hostId, holder));
          return;
        }
      } catch (thrown) {
        log.warn({ error: asRefloatError(thrown).toJSON() }, 'no heartbeat');
      }
      await new Bell().wait(HEARTBEAT_MS, signal);
    }
  }
}

function otherAgent(hostId: string, holder: HostHolder): RefloatError {
  const pid = holder.bootId?.split('/')[2];
  const who = `agent ${holder.instance ?? 'unknown'}${pid === undefined ? '' : ` (process ${pid} of its machine)`}`;
  return new RefloatError('AGENT_RUNNING', `${who} is working as this host, last seen ${holder.seenAt ?? 'never'}`, {
    hint: 'Two machines have the same enrollment, or an agent runs twice. Stop one, or enrol this machine as a host of its own.',
    details: { hostId, instance: holder.instance },
  });
}

function onOtherMachine(hostId: string, holder: HostHolder): RefloatError {
  return new RefloatError(
    'NOT_ENROLLED',
    `this host belongs to another machine, whose agent was last seen ${holder.seenAt ?? 'never'}; this one has a copy of its enrollment`,
    {
      hint: 'If the host moved here, get a new enrollment token for it and run "refloat-agent enroll". If this is a copy, enrol it as a host of its own.',
      details: { hostId, instance: holder.instance },
    },
  );
}

function notEnrolled(hostId: string): RefloatError {
  return new RefloatError('NOT_ENROLLED', `the control plane does not know the host ${hostId}, or has revoked it`, {
    hint: 'Ask an admin for an enrollment token, then run "refloat-agent enroll".',
    details: { hostId },
  });
}
