/** The composition root's parts: everything that the agent's work needs, built once from the configuration. */
import { pino } from 'pino';
import { SECRET_MEMBERS, scrub } from '../db/scrub.ts';
import { createArchiver } from './archive/archiver.ts';
import type { AgentConfig } from './config.ts';
import { WorkloadLocks } from './deploy/workload-lock.ts';
import type { AgentDeps } from './deps.ts';
import { createEngine } from './docker/dockerode-engine.ts';

/** Nothing is connected yet. Logs go to standard error, one JSON object a line, without secrets. */
export function compose(config: AgentConfig): AgentDeps {
  return {
    config,
    engine: createEngine(config.dockerHost),
    archiver: createArchiver(),
    locks: new WorkloadLocks(),
    now: () => new Date(),
    // Synchronous: the last line before a crash is the one that matters.
    log: pino(
      {
        level: config.logLevel,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        redact: { paths: [...SECRET_MEMBERS], censor: '[secret]' },
        hooks: { streamWrite: scrub },
      },
      pino.destination({ fd: 2, sync: true }),
    ),
  };
}
