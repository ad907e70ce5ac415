/** `refloat migrate` */
import { Command } from 'commander';
import { migrate } from '../../db/migrate.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { printJson, runServerCommand } from './server-command.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('brings the database of REFLOAT_DATABASE_URL to the current schema')
    .option('--json', 'one JSON object last on standard output')
    .action(async (options: { json?: boolean }) =>
      runServerCommand(options.json === true, async () => {
        const applied = await migrate(requireDatabaseUrl());
        if (options.json === true) printJson({ ok: true, applied });
        else process.stdout.write(applied.length === 0 ? 'Nothing to do.\n' : `Applied ${applied.join(', ')}.\n`);
      }),
    );
}
