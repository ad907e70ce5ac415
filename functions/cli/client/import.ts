/** `refloat import WORKLOAD [FILE…]`: files are relative to the import directory that the host's own configuration sets. */
import type { Command } from 'commander';
import { namedArchives } from '../../../db/named-archives.ts';
import { clientCommand, runClient } from './command.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findWorkload } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

interface ImportOptions {
  readonly volume: readonly string[];
  readonly inside: readonly string[];
  readonly faithful?: boolean;
  readonly wait?: boolean;
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

export function importCommand(): Command {
  const command: Command = clientCommand(
    'import <workload> [files...]',
    "make a snapshot of other tools' archives (.tar, .tar.gz, .tar.zst) in the host's import directory",
  )
    .option('--volume <name=file>', 'the archive of this volume; may be repeated', collect, [])
    .option('--inside <name=path>', 'the directory in the archive that is this volume; may be repeated', collect, [])
    .option('--faithful', 'links, set-id bits and all attributes too: your decision, kept in the audit log')
    .addOption(waitOption())
    .action((name: string, files: readonly string[]) =>
      runClient(command, async (context) => {
        const options = command.opts<ImportOptions>();
        const archives = namedArchives(files, options.volume, options.inside);
        const workload = await findWorkload(context.api, name);
        const policy = options.faithful === true ? 'faithful' : 'strict';
        const body = { archives, policy };
        const intent = await context.api.post<IntentAnswer>(`/api/workloads/${workload.id}/imports`, body);
        return outcomeOf(context, intent, workload.name, options.wait === true);
      }),
    );
  return command;
}
