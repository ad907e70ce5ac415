/** What `main.ts` and the commands build once and pass down. There are no other singletons. */
import type { Logger } from 'pino';
import type { Archiver } from './archive/types.ts';
import type { AgentConfig } from './config.ts';
import type { WorkloadLocks } from './deploy/workload-lock.ts';
import type { Engine } from './docker/engine.ts';

export interface AgentDeps {
  readonly config: AgentConfig;
  readonly engine: Engine;
  readonly archiver: Archiver;
  readonly locks: WorkloadLocks;
  readonly now: () => Date;
  readonly log: Logger;
}
