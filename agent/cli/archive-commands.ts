/** The commands of the host's program about archives and snapshots. None needs the engine; `import` uses the database if it is there. */
import type { Command } from 'commander';
import { addImportCommand } from './import.ts';
import { addPackCommand } from './pack.ts';
import { addUnpackCommand } from './unpack.ts';
import { addVerifyCommand } from './verify.ts';

export function addArchiveCommands(program: Command): void {
  addPackCommand(program);
  addUnpackCommand(program);
  addVerifyCommand(program);
  addImportCommand(program);
}
