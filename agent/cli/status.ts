/** `refloat-agent status`: what lies on this host. Reads only; works while an agent runs, and without engine or database. */
import { existsSync } from 'node:fs';
import { toRefloatError } from '../../db/errors.ts';
import { hostLockHolder } from '../claim/host-lock.ts';
import { listSpools, Spool } from '../claim/spool.ts';
import { loadConfig } from '../config.ts';
import { waitingImports } from '../import/import-spool.ts';
import { heldTrees, readJournals } from '../restore/journal-dir.ts';
import { beingRemoved } from '../restore/release.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import { listSnapshots, snapshotStore } from '../snapshots/store.ts';
import type { CommandContext, CommandResult } from './command.ts';

/** @throws RefloatError `CONFIG_INVALID` */
export async function status({ env }: CommandContext): Promise<CommandResult> {
  const config = await loadConfig(env);
  const agent = hostLockHolder(config.stateDir);
  const journals = journalLines(config.stateDir);
  const held = heldLines(config.stateDir);
  const removing = readJournals(config.stateDir).flatMap(({ state }) => (state === null ? [] : beingRemoved(state)));
  const snapshots = snapshotLines(config.stateDir);
  const spool = listSpools(config.stateDir).map((intentId) => Spool.peek(config.stateDir, intentId));
  const lease = spool.map(({ intentId, leaseEpoch }) => ({ intentId, leaseEpoch }));
  const imports = waitingImports(config.stateDir);
  const facts = {
    hostId: config.hostId ?? null,
    enrolled: config.databaseUrl !== undefined,
    stateDir: config.stateDir,
    allowedRoots: config.allowedRoots,
    volumeBase: config.volumeBase,
  };
  return {
    json: { ...facts, agent, journals, held, removing, snapshots, lease, spool, imports },
    lines: [
      agent === null
        ? 'No agent is running.'
        : `An agent is running: process ${agent.pid}${agent.since === undefined ? '' : `, since ${agent.since}`}.`,
      `State: ${config.stateDir}${config.hostId === undefined ? '' : `, host ${config.hostId}`}${facts.enrolled ? '' : ' (not enrolled)'}`,
      '',
      ...section(
        'Journals',
        journals,
        (one) =>
          `${one.intentId}  ${one.kind ?? '?'} of ${one.workload ?? '?'}: ${one.state}${one.released === 'low-disk' ? ' (low disk: its previous tree was given up, its pre-restore snapshot stays)' : ''}${one.step === null ? '' : ` in ${one.step}`}${one.error === null ? '' : `\n    ${one.error.code}: ${one.error.message}\n    ${one.error.hint}`}`,
      ),
      ...section(
        'Held previous trees',
        held,
        (one) =>
          `${one.workload} "${one.volume}": ${one.previous}${one.until === null ? '' : ` until ${one.until}`}${one.there ? '' : ' (gone)'}`,
      ),
      ...(removing.length === 0 ? [] : section('Previous trees that are being removed', removing, (path) => path)),
      ...section(
        'Snapshots',
        snapshots,
        (one) =>
          `${one.id}  ${one.error === null ? `${one.workload} ${one.kind} ${one.capturedAt}, ${one.bytes} bytes` : `${one.error.code}: ${one.error.message}`}`,
      ),
      ...section('Leases', lease, (one) => `${one.intentId}, epoch ${one.leaseEpoch}`),
      ...section(
        'Waiting for the control plane',
        spool.filter((one) => one.undelivered > 0),
        (one) => `${one.intentId}: ${one.undelivered} items`,
      ),
      ...section('Imports that the control plane does not know yet', imports, (id) => id),
    ],
  };
}

function journalLines(stateDir: string) {
  return readJournals(stateDir).map(({ intentId, path, state, damage }) => ({
    intentId,
    path,
    kind: state?.intent.kind ?? null,
    workload: state?.intent.workload.config.name ?? null,
    workloadId: state?.intent.workload.id ?? null,
    beganAt: state?.beganAt ?? null,
    state: damage !== null ? ('damaged' as const) : (state?.outcome?.state ?? ('unfinished' as const)),
    committed: state?.committed ?? false,
    step: state?.outcome === null ? (state.started.at(-1) ?? null) : null,
    released: state?.released ?? null,
    error: damage?.toJSON() ?? state?.outcome?.error ?? null,
  }));
}

function heldLines(stateDir: string) {
  return readJournals(stateDir).flatMap(({ intentId, state }) =>
    state === null
      ? []
      : heldTrees(state).map((tree) => ({
          ...tree,
          intentId,
          workload: state.intent.workload.config.name,
          until: state.outcome?.result?.undoUntil ?? null,
          there: existsSync(tree.previous),
        })),
  );
}

function snapshotLines(stateDir: string) {
  const store = snapshotStore(stateDir);
  return listSnapshots(store).map((id) => {
    const path = store.directoryOf(id);
    try {
      const { manifest, manifestSha256 } = readSnapshotDirectory(path);
      const { kind, workload, capturedAt, volumes } = manifest;
      const bytes = volumes.reduce((sum, volume) => sum + volume.archiveBytes, 0);
      return { id, path, kind, workload: workload.name, capturedAt, bytes, manifestSha256, error: null };
    } catch (thrown) {
      const error = toRefloatError(thrown).toJSON();
      return { id, path, kind: null, workload: null, capturedAt: null, bytes: null, manifestSha256: null, error };
    }
  });
}

function section<T>(title: string, items: readonly T[], describe: (item: T) => string): string[] {
  if (items.length === 0) return [`${title}: none`];
  return [`${title}:`, ...items.map((item) => `  ${describe(item)}`)];
}
