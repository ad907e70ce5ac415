/**
 * The same work as the driver's, to be imported instead of started: the archive is read and written in this process too, without its
 * wall, so that every change of the disk passes the points. Bundled by `bundle.ts` and imported from there.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { pino } from 'pino';
import { compareTree } from '../../agent/archive/compare.ts';
import { copyTree } from '../../agent/archive/copy-tree.ts';
import { extractArchive, verifyArchive } from '../../agent/archive/extract.ts';
import { measureTree } from '../../agent/archive/measure.ts';
import { packTree } from '../../agent/archive/pack.ts';
import type { Archiver } from '../../agent/archive/types.ts';
import { parseConfig } from '../../agent/config.ts';
import { WorkloadLocks } from '../../agent/deploy/workload-lock.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { Engine } from '../../agent/docker/engine.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { releaseExpired } from '../../agent/restore/release.ts';
import { point } from './points.ts';
import { recoverAll, type Told, work } from './work.ts';

export { arm, callsSoFar } from './points.ts';

const archiver: Archiver = {
  async extract(options) {
    point('mkdir');
    mkdirSync(options.destination, { mode: 0o700 });
    return extractArchive(options, () => undefined);
  },
  async pack({ root, archive }) {
    point('open');
    closeSync(openSync(archive, 'wx', 0o600));
    return packTree(root, archive, () => undefined);
  },
  verify: async (options) => verifyArchive(options, () => undefined),
  measure: async (root) => measureTree(root),
  copy: async (options) => copyTree(options, () => undefined),
  compare: async (request) => compareTree(request),
};

/** A point before every call to the engine: between two of them a process can die, too. */
function pointing(engine: Engine): Engine {
  return new Proxy(engine, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as unknown;
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        point(`engine:${String(property)}`);
        return Reflect.apply(member, target, args) as Promise<unknown>;
      };
    },
  });
}

/** @param intent null for recovery */
export async function inProcess(
  environment: Readonly<Record<string, string>>,
  intent: ClaimedIntent | null,
): Promise<Told> {
  const deps = depsOf(environment);
  return intent === null ? recoverAll(deps) : work(deps, intent);
}

/** Housekeeping of held previous trees at some time: ends what is over, and what was begun. */
export async function endHolds(environment: Readonly<Record<string, string>>, at: Date): Promise<void> {
  await releaseExpired({ ...depsOf(environment), now: () => at });
}

function depsOf(environment: Readonly<Record<string, string>>): AgentDeps {
  const config = parseConfig(environment, {});
  return {
    config,
    engine: pointing(createEngine(config.dockerHost)),
    archiver,
    locks: new WorkloadLocks(),
    now: () => new Date(),
    log: pino({ level: 'silent' }),
  };
}
