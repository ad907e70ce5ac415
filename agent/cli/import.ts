/**
 * `refloat-agent import FILE… --workload NAME`: a snapshot made of archives that other tools wrote.
 *
 * Works beside a running agent, and without the control plane: then the agent registers the snapshot when the database is back.
 */
import type { Command } from 'commander';
import { describeSkipped, type OutcomeOptions, runToOutcome } from './archive-outcome.ts';

export interface ImportOptions extends OutcomeOptions {
  readonly workload: string;
  readonly volume: readonly string[];
  readonly inside: readonly string[];
  readonly faithful?: boolean;
  readonly maxBytes?: string;
  readonly maxEntries?: string;
  readonly maxRatio?: string;
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

export function addImportCommand(program: Command): void {
  program
    .command('import')
    .description('make a snapshot of archives of other tools (.tar, .tar.gz, .tar.zst)')
    .argument('[files...]', 'archives, one per volume, or one that holds several below backup/')
    .requiredOption('--workload <name>', 'the workload of this host that the data is of')
    .option('--volume <name=file>', 'the archive of this volume; may be repeated', collect, [])
    .option('--inside <name=path>', 'the directory in the archive that is this volume; may be repeated', collect, [])
    .option('--faithful', 'links, set-id bits and all attributes too: your decision, kept in the audit log')
    .option('--max-bytes <n>', 'refuse more bytes of files than this')
    .option('--max-entries <n>', 'refuse more entries than this (2000000)')
    .option('--max-ratio <n>', 'refuse what decompresses to more times its size than this, over 64 MiB (200)')
    .option('--json', 'print one JSON object last')
    .action(async (files: readonly string[], options: ImportOptions) => {
      await runToOutcome(
        options,
        async (signal) => await (await import('./import-archives.ts')).importArchives(files, options, signal),
        (done) => [
          `Imported into snapshot ${done.snapshotId} of ${done.workload}, policy ${done.policy}.`,
          ...done.volumes.map(
            ({ name, file, inside, entries, bytes }) =>
              `  ${name}: ${entries} entries (${bytes} bytes) from ${file}${inside === '' ? '' : `, ${inside}/`}`,
          ),
          ...describeSkipped(done.skipped),
          ...done.warnings,
          done.registered
            ? 'The control plane knows it.'
            : 'The control plane does not know it yet: the agent registers it when the database is back.',
        ],
      );
    });
}
