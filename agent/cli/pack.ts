/** `refloat-agent pack DIR FILE.tar.zst`: archives a tree in the snapshot's own format. */
import { realpathSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { RefloatError } from '../../db/errors.ts';
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
          requireOutside(root, archive);
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

/** An archive inside would hold itself, half written. @throws RefloatError `USAGE` */
function requireOutside(root: string, archive: string): void {
  const below = relative(realpathSync(root), realpathSync(dirname(resolve(archive))));
  if (below === '..' || below.startsWith('../')) return;
  throw new RefloatError('USAGE', `${archive} would lie in ${root}, which is to be archived`, {
    hint: 'Name an archive outside the directory.',
  });
}
