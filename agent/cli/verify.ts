/** `refloat-agent verify SNAPSHOT_DIR`: digests, counts and structure of a whole snapshot, without the control plane. */
import type { Command } from 'commander';
import { createArchiver } from '../archive/archiver.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import { verifySnapshot } from '../snapshots/verify-snapshot.ts';
import { type OutcomeOptions, requireDirectory, runToOutcome } from './archive-outcome.ts';

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('read a snapshot back: digests, counts, structure')
    .argument('<snapshot-dir>', 'directory with a manifest.json')
    .option('--json', 'print one JSON object last')
    .action(async (directory: string, options: OutcomeOptions) => {
      await runToOutcome(
        options,
        async (signal) => {
          requireDirectory(
            directory,
            'Name the directory of a snapshot, for example one below snapshots/ of the state directory.',
          );
          const snapshot = readSnapshotDirectory(directory);
          const verified = await verifySnapshot(createArchiver(), snapshot, 'faithful', signal);
          const { id, workload, capturedAt } = snapshot.manifest;
          return {
            snapshotId: id,
            workload: workload.name,
            capturedAt,
            manifestSha256: snapshot.manifestSha256,
            ...verified,
          };
        },
        (done) => [
          `Snapshot ${done.snapshotId} of ${done.workload}, captured ${done.capturedAt}: ${done.volumes} volumes, ${done.entries} entries, ${done.bytes} bytes, all as promised.`,
          `The manifest's SHA-256 is ${done.manifestSha256}; the control plane knows whether that is the one that was captured.`,
        ],
      );
    });
}
