/** `refloat-agent pack DIR FILE.tar.zst`: archives a tree in the snapshot's own format. */
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { createArchiver } from '../archive/archiver.ts';
import { describeSkipped, type OutcomeOptions, requireDirectory, runToOutcome } from './archive-outcome.ts';

export function addPackCommand(program: Command): void {
  program
    .command('pack')
    .description('archive a directory; "zstd -dc FILE | tar -x" reads what it writes')
    .argument('<dir>', 'directory to archive, itself included')
    .argument('<file.tar.zst>', 'archive to make; must not exist')
    .option('--json', 'print one JSON object last')
    .action(async (root: string, archive: string, options: OutcomeOptions) => {
      await runToOutcome(
        options,
        async (signal) => {
          requireDirectory(root, 'Name the directory that is to be archived.');
          requireDirectory(dirname(resolve(archive)), 'Name an archive in a directory that exists.');
          return { archive, ...(await createArchiver().pack({ root, archive, signal })) };
        },
        (done) => [
          `Packed ${done.entries} entries (${done.contentBytes} bytes) into ${archive} (${done.archiveBytes} bytes).`,
          `SHA-256 ${done.sha256}`,
          ...describeSkipped(done.skipped),
        ],
      );
    });
}
