/**
 * `refloat-agent unpack FILE DIR`: the restore's own extractor for a person.
 *
 * The policy is `faithful` unless given: whoever names a file to be unpacked has decided to, and an archive without its links is not
 * the tree that was asked for. `strict` refuses an archive that has more than files and directories. Both are equally unable to write
 * outside DIR.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { RefloatError } from '../../db/errors.ts';
import { createArchiver } from '../archive/archiver.ts';
import { refusal } from '../archive/refusal.ts';
import type { ArchiveSummary, Policy } from '../archive/types.ts';
import {
  describeSkipped,
  type OutcomeOptions,
  parseLimits,
  requireDirectory,
  runToOutcome,
} from './archive-outcome.ts';

interface UnpackOptions extends OutcomeOptions {
  readonly policy: string;
  readonly maxBytes?: string;
  readonly maxEntries?: string;
  readonly maxRatio?: string;
  readonly maxPath?: string;
  readonly maxDepth?: string;
}

export function addUnpackCommand(program: Command): void {
  program
    .command('unpack')
    .description('extract a .tar, .tar.gz or .tar.zst, completely or not at all')
    .argument('<file>', 'archive; its first bytes decide what it is, not its name')
    .argument('<dir>', 'directory to make; must not exist, and does not exist after a refusal')
    .option(
      '--policy <policy>',
      'strict: files and directories only; faithful: links, set-id bits, all attributes too',
      'faithful',
    )
    .option('--max-bytes <n>', 'refuse more bytes of files than this')
    .option('--max-entries <n>', 'refuse more entries than this (2000000)')
    .option('--max-ratio <n>', 'refuse what decompresses to more times its size than this, over 64 MiB (200)')
    .option('--max-path <n>', 'refuse paths of more bytes than this (65536; strict: 4096)')
    .option('--max-depth <n>', 'refuse paths of more components than this (256)')
    .option('--json', 'print one JSON object last')
    .action(async (archive: string, destination: string, options: UnpackOptions) => {
      await runToOutcome(
        options,
        async (signal) => ({ destination, ...(await unpack(archive, destination, options, signal)) }),
        (done) => [
          `Unpacked ${done.entries} entries (${done.contentBytes} bytes) into ${destination}.`,
          ...describeSkipped(done.skipped),
          ...(done.warnings ?? []),
        ],
      );
    });
}

async function unpack(
  archive: string,
  destination: string,
  options: UnpackOptions,
  signal: AbortSignal,
): Promise<ArchiveSummary> {
  const stat = statSync(archive, { throwIfNoEntry: false });
  if (stat?.isFile() === false) throw refusal('ARCHIVE_REFUSED', 'not-a-file', 'the archive is not a regular file');
  if (stat === undefined)
    throw new RefloatError('ARCHIVE_MISSING', `there is no ${archive}`, {
      hint: 'Check the path.',
      details: { usage: true },
    });
  requireDirectory(dirname(resolve(destination)), 'Name a directory that does not exist yet, in one that does.');
  const limits = parseLimits(options);
  return await createArchiver().extract({ archive, destination, policy: parsePolicy(options.policy), limits, signal });
}

function parsePolicy(text: string): Policy {
  if (text === 'strict' || text === 'faithful') return text;
  throw new RefloatError('USAGE', `--policy is strict or faithful, not "${text}"`, { hint: 'Choose one of the two.' });
}
