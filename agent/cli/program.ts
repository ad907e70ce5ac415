/** The host's command line: every command on one screen. What a command needs is loaded when it runs. */
import { Command, CommanderError } from 'commander';
import { RefloatError } from '../../db/errors.ts';
import { AGENT_VERSION } from '../version.ts';
import { addArchiveCommands } from './archive-commands.ts';
import { type CommandOptions, EXIT, printError, runCommand } from './command.ts';

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 usage or missing prerequisite, 3 refused, 4 rolled back or unwound, 5 stuck, 130 interrupted.
Environment: REFLOAT_STATE_DIR, REFLOAT_AGENT_DATABASE_URL, REFLOAT_ALLOWED_ROOTS, REFLOAT_VOLUME_BASE,
             REFLOAT_IMPORT_DIR, REFLOAT_UNDO_WINDOW_SECONDS, REFLOAT_INVENTORY, DOCKER_HOST, REFLOAT_LOG.`;

export async function runProgram(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync([...argv]);
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and version end here too, with exit code 0; commander has printed them.
    if (thrown.exitCode === 0) return;
    process.exitCode = EXIT.usage;
    if (argv.includes('--json'))
      printError(true, new RefloatError('USAGE', thrown.message, { hint: 'See "refloat-agent --help".' }));
  }
}

export function program(): Command {
  const root = new Command('refloat-agent')
    .description('Works on the intents of this host: deploys, captures, restores and their undo.')
    .version(AGENT_VERSION)
    .addHelpText('after', EXIT_CODES)
    .exitOverride();
  // Set before the commands are added: they inherit it.
  root
    .command('enroll')
    .description("exchange a one-time token for this host's credentials")
    .requiredOption('--api <url>', 'address of the control plane')
    .requiredOption('--token <token>', 'one-time token of this host')
    .option('--install-engine', 'first install Docker if no engine answers')
    .option('--json', 'print one JSON object last')
    .action(async (options: CommandOptions & { api: string; token: string; installEngine?: boolean }) => {
      await runCommand(options, async (context) => (await import('./enroll.ts')).enroll(context, options));
    });
  root
    .command('run')
    .description('recover, then claim and work on intents until told to stop')
    .option('--install-engine', 'install and start a Docker engine if none answers')
    .option('--json', 'print one JSON object when ready, and one last')
    .action(async (options: CommandOptions & { installEngine?: boolean }) => {
      await runCommand(options, async (context) =>
        (await import('./run.ts')).run(context, options.installEngine === true),
      );
    });
  root
    .command('recover')
    .description('finish or take back what was interrupted, without the control plane')
    .option('--json', 'print one JSON object last')
    .action(async (options: CommandOptions) => {
      await runCommand(options, async (context) => (await import('./recover.ts')).recoverCommand(context));
    });
  root
    .command('resolve')
    .argument('<intent>')
    .description('end what is stuck, once you have put the data right; touches no data, brings the containers back')
    .option('--keep', 'what is in place now is what you want')
    .option('--json', 'print one JSON object last')
    .action(async (intent: string, options: CommandOptions & { keep?: boolean }) => {
      await runCommand(options, async (context) =>
        (await import('./resolve.ts')).resolveCommand(context, intent, options),
      );
    });
  root
    .command('status')
    .description('journals, held previous trees, snapshots, what waits for the control plane, and the running agent')
    .option('--json', 'print one JSON object last')
    .action(async (options: CommandOptions) => {
      await runCommand(options, async (context) => (await import('./status.ts')).status(context));
    });
  addArchiveCommands(root);
  return root;
}
