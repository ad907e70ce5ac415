/**
 * Imports of the host's own command line that Postgres does not know yet: `$REFLOAT_STATE_DIR/spool/imports/<snapshot>.json`.
 *
 * Guarantees: an import is written down, durably, before its snapshot appears, so that no crash leaves one that nobody knows of; it is
 * registered once, by whoever reaches Postgres first: the command itself, or the agent.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { isUuid } from '../../db/ids.ts';
import { registerImport, registerSnapshotVolumes } from '../../db/queries/register-snapshot.ts';
import { type AgentDatabase, asRefloatError } from '../claim/agent-database.ts';
import { makeDirectoriesDurably, removeFileDurably, renameDurably, writeFileDurably } from '../fs/durable.ts';
import { recordOf } from '../snapshots/create-snapshot.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import type { SnapshotStore } from '../snapshots/store.ts';
import { isBeingImported } from './import-snapshot.ts';

const directoryOf = (stateDir: string): string => join(stateDir, 'spool', 'imports');
const pathOf = (stateDir: string, snapshotId: string): string => join(directoryOf(stateDir), `${snapshotId}.json`);

/** Before the snapshot appears. */
export function announceImport(stateDir: string, snapshotId: string): void {
  makeDirectoriesDurably(directoryOf(stateDir), 0o700);
  writeFileDurably(pathOf(stateDir, snapshotId), `${JSON.stringify({ snapshotId })}\n`);
}

/** The import failed, or is registered. */
export function forgetImport(stateDir: string, snapshotId: string): void {
  removeFileDurably(pathOf(stateDir, snapshotId));
}

/** Ids of the snapshots that wait for Postgres, oldest first. */
export function waitingImports(stateDir: string): string[] {
  const directory = directoryOf(stateDir);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -5))
    .filter(isUuid)
    .sort();
}

export interface RegisterOptions {
  readonly database: AgentDatabase;
  readonly hostId: string;
  readonly stateDir: string;
  readonly store: SnapshotStore;
}

/** @throws RefloatError `DATABASE_UNAVAILABLE`, those of `readSnapshotDirectory`, and what Postgres refuses */
export async function registerImported(options: RegisterOptions, snapshotId: string): Promise<void> {
  const { database, hostId, stateDir, store } = options;
  const { manifest, manifestSha256 } = readSnapshotDirectory(store.directoryOf(snapshotId));
  const record = recordOf(manifest, manifestSha256, null);
  await database.transaction(async (sql) => {
    await registerImport(sql, hostId, record);
    await registerSnapshotVolumes(sql, { hostId, intentId: record.intentId }, record);
  });
  forgetImport(stateDir, snapshotId);
}

/** Registers all that wait; what Postgres refuses is set aside and never holds up the others. */
export async function registerWaiting(options: RegisterOptions, log: Logger): Promise<void> {
  for (const snapshotId of waitingImports(options.stateDir)) {
    if (isBeingImported(options.store, snapshotId)) continue;
    try {
      await registerImported(options, snapshotId);
      log.info({ snapshotId }, 'an import of the command line is registered');
    } catch (thrown) {
      const error = asRefloatError(thrown);
      if (error.code === 'DATABASE_UNAVAILABLE') return;
      if (error.code === 'MANIFEST_MISSING') {
        // The command ended before its snapshot appeared.
        forgetImport(options.stateDir, snapshotId);
        continue;
      }
      log.error({ snapshotId, error: error.toJSON() }, 'an import of the command line cannot be registered');
      setAside(options.stateDir, snapshotId);
    }
  }
}

function setAside(stateDir: string, snapshotId: string): void {
  const refused = join(dirname(directoryOf(stateDir)), 'refused');
  makeDirectoriesDurably(refused, 0o700);
  renameDurably(pathOf(stateDir, snapshotId), join(refused, `import-${snapshotId}.json`));
}
