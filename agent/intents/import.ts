/**
 * Import: a snapshot made of archives that lie in this host's own import directory.
 *
 * Guarantees: nothing outside that directory is read, whatever the intent says; the snapshot has the intent's id, so that an intent
 * that is begun again finds what it made.
 */
import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { IMPORT_PARAMS, type ImportParams } from '../../db/import-params.ts';
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { AgentDeps } from '../deps.ts';
import { isInside } from '../fs/volume-path.ts';
import { type ImportArchive, importSnapshot } from '../import/import-snapshot.ts';
import { deleteSnapshot } from '../snapshots/delete-snapshot.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { asStep } from './as-step.ts';
import type { ClaimedIntent } from './claimed-intent.ts';

/** @throws RefloatError `IMPORT_NOT_ALLOWED`, `SOURCE_OUTSIDE_ROOTS`, `ARCHIVE_MISSING`, and those of `importSnapshot` */
export async function importIntent(deps: AgentDeps, intent: ClaimedIntent, control: IntentControl): Promise<Outcome> {
  const { archives, policy } = parseParams(intent);
  const store = snapshotStore(deps.config.stateDir);
  const { value, ms } = await asStep(control, 'import', () =>
    importSnapshot({
      store,
      archiver: deps.archiver,
      id: intent.id,
      intentId: intent.id,
      workload: intent.workload,
      archives: byFile(archives).map((archive) => resolveArchive(deps.config.importDirectory, archive)),
      policy,
      importedBy: intent.requestedBy ?? 'unknown',
      now: deps.now,
      signal: control.signal,
      onProgress: (progress) => control.progress(progress),
    }),
  );
  try {
    await control.confirmCommit();
    control.signal.throwIfAborted();
  } catch (error) {
    await deleteSnapshot(store, intent.id);
    throw error;
  }
  const { path, manifest, skipped, warnings, ...record } = value;
  control.emit('snapshot', { ...record });
  return {
    state: 'succeeded',
    error: null,
    result: {
      snapshotId: record.id,
      snapshotPath: path,
      policy,
      bytes: record.volumes.reduce((sum, volume) => sum + volume.contentBytes, 0),
      entries: record.volumes.reduce((sum, volume) => sum + volume.entries, 0),
      archives: manifest.origin?.archives ?? [],
      skipped,
      warnings,
      steps: [{ name: 'import', ms }],
    },
  };
}

function parseParams({ params }: ClaimedIntent): ImportParams {
  const parsed = IMPORT_PARAMS.safeParse(params);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new RefloatError('VALIDATION_FAILED', `the import is not valid: ${issue?.path.join('.')}: ${issue?.message}`, {
    hint: 'Ask for it again, with this version of the control plane, or update the agent of this host.',
  });
}

/** One archive may hold several volumes; it is unpacked once. */
export function byFile(archives: ImportParams['archives']): Omit<ImportArchive, 'path'>[] {
  const files = new Map<string, { volume?: string | undefined; inside?: string | undefined }[]>();
  for (const { file, volume, inside } of archives) {
    const wanted = files.get(file) ?? [];
    files.set(file, wanted);
    if (volume !== undefined || inside !== undefined) wanted.push({ volume, inside });
  }
  return [...files].map(([file, wanted]) => ({ file, wanted }));
}

function resolveArchive(directory: string | undefined, archive: Omit<ImportArchive, 'path'>): ImportArchive {
  if (directory === undefined) {
    throw new RefloatError('IMPORT_NOT_ALLOWED', 'this host takes no archives that the control plane names', {
      hint: 'Set REFLOAT_IMPORT_DIR on the host to the directory with the archives, or run "refloat-agent import" there.',
    });
  }
  const path = join(directory, archive.file);
  const outside = new RefloatError('SOURCE_OUTSIDE_ROOTS', `"${archive.file}" is not in this host's import directory`, {
    hint: 'Name a file relative to REFLOAT_IMPORT_DIR, without "..". Symbolic links do not count.',
    details: { file: archive.file },
  });
  if (archive.file.startsWith('/') || archive.file.split('/').includes('..') || !isInside(directory, path))
    throw outside;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new RefloatError('ARCHIVE_MISSING', `there is no "${archive.file}" in this host's import directory`, {
      hint: `Copy the archive to ${directory} on the host.`,
      details: { file: archive.file },
    });
  }
  // The directory itself may be reached through a link; nothing below it may.
  if (realpathSync(path) !== join(realpathSync(directory), archive.file.replace(/^(\.\/)+/, ''))) throw outside;
  return { ...archive, path };
}
