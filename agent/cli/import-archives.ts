/** The work of `refloat-agent import`: find the workload, make the snapshot, tell Postgres. */
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { toRefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { namedArchives } from '../../db/named-archives.ts';
import { ownHostId } from '../../db/queries/own-host-id.ts';
import { createArchiver } from '../archive/archiver.ts';
import { AgentDatabase } from '../claim/agent-database.ts';
import { type AgentConfig, loadConfig } from '../config.ts';
import { findWorkload } from '../import/find-workload.ts';
import { type ImportedSnapshot, importSnapshot } from '../import/import-snapshot.ts';
import { announceImport, forgetImport, registerImported } from '../import/import-spool.ts';
import { byFile } from '../intents/import.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { parseLimits } from './archive-outcome.ts';
import type { ImportOptions } from './import.ts';

/** How long the command waits for Postgres; the agent has all the time that there is. */
const DATABASE_LIMIT_MS = 5000;

/** @throws RefloatError `USAGE`, `CONFIG_INVALID`, `WORKLOAD_NOT_FOUND`, and those of `importSnapshot` */
export async function importArchives(files: readonly string[], options: ImportOptions, signal: AbortSignal) {
  const archives = byFile(namedArchives(files, options.volume, options.inside));
  const limits = parseLimits(options);
  const config = await loadConfig(process.env);
  const { stateDir } = config;
  const store = snapshotStore(stateDir);
  const database = config.databaseUrl === undefined ? null : new AgentDatabase(config.databaseUrl, DATABASE_LIMIT_MS);
  try {
    const away: string[] = [];
    const workload = await findWorkload(database, stateDir, options.workload, (error) => away.push(error.message));
    const id = newId();
    announceImport(stateDir, id);
    const imported = await importSnapshot({
      store,
      archiver: createArchiver(),
      id,
      intentId: newId(),
      workload,
      archives: archives.map((archive) => ({ ...archive, path: resolve(archive.file) })),
      policy: options.faithful === true ? 'faithful' : 'strict',
      importedBy: `local:${process.env['SUDO_USER'] ?? userInfo().username}`,
      limits,
      now: () => new Date(),
      signal,
    }).catch((error: unknown) => {
      forgetImport(stateDir, id);
      throw error;
    });
    const problem = database === null ? null : await register(database, config, id);
    return answer(imported, workload.config.name, database !== null && problem === null, [...away, ...(problem ?? [])]);
  } finally {
    await database?.close();
  }
}

/** Null when Postgres knows it now; else why not. The snapshot is there in any case, and the agent tries again. */
async function register(database: AgentDatabase, config: AgentConfig, snapshotId: string): Promise<string[] | null> {
  const { stateDir } = config;
  try {
    const hostId = config.hostId ?? (await database.attempt(ownHostId));
    if (hostId === null) return ['this host is not enrolled'];
    await registerImported({ database, hostId, stateDir, store: snapshotStore(stateDir) }, snapshotId);
    return null;
  } catch (thrown) {
    return [toRefloatError(thrown).message];
  }
}

function answer(imported: ImportedSnapshot, workload: string, registered: boolean, more: readonly string[]) {
  const { id, path, manifest, manifestSha256, skipped, warnings, capturedAt } = imported;
  const sourceOf = (volume: string) => {
    for (const { file, volumes } of manifest.origin?.archives ?? [])
      for (const { name, inside } of volumes) if (name === volume) return { file, inside };
    return { file: '', inside: '' };
  };
  return {
    snapshotId: id,
    path,
    manifestSha256,
    capturedAt,
    workload,
    policy: manifest.origin?.policy ?? 'strict',
    registered,
    volumes: manifest.volumes.map(({ name, counts, skippedCount }) => ({
      name,
      ...sourceOf(name),
      entries: counts.entries,
      bytes: counts.contentBytes,
      skipped: skippedCount,
    })),
    skipped,
    warnings: [...warnings, ...more],
  };
}
