/** `refloat`: the hosted side, and the client of its API. */
import { Command, CommanderError } from 'commander';
import { RefloatError } from '../../db/errors.ts';
import { adminCommand } from './admin.ts';
import { adminTokenCommand } from './bootstrap.ts';
import { addClientCommands } from './client.ts';
import { keysCommand } from './keys.ts';
import { migrateCommand } from './migrate.ts';
import { serveCommand } from './serve.ts';
import { failWith } from './server-command.ts';
import { upCommand } from './up.ts';

export function buildProgram(): Command {
  const program = new Command('refloat')
    .description('Snapshots and safe restores for the data volumes of Docker workloads')
    .version('0.1.0')
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  for (const make of [upCommand, serveCommand, migrateCommand, keysCommand, adminCommand, adminTokenCommand]) {
    const command = make();
    inherit(command, program);
    program.addCommand(command);
  }
  addClientCommands(program);
  return program;
}

/** Runs one command line; sets `process.exitCode`. Wrong usage is 2. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync([...args], { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and version end here, too, with 0.
    if (thrown.exitCode === 0) return;
    const json = args.includes('--json');
    if (thrown.code === 'commander.help') {
      process.exitCode = 2;
      return;
    }
    failWith(json, new RefloatError('USAGE', thrown.message.replace(/^error: /, ''), { hint: 'See: refloat help' }));
  }
}

function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
