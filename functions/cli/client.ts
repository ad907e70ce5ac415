/** The commands of `refloat` that speak with the API; `main.ts` mounts them beside those of the hosted side. */
import type { Command } from 'commander';
import { auditCommand } from './client/audit.ts';
import { captureCommand } from './client/capture.ts';
import { deployCommand } from './client/deploy.ts';
import { hostsCommand } from './client/hosts.ts';
import { importCommand } from './client/import.ts';
import { cancelCommand, intentsCommand, waitCommand } from './client/intents.ts';
import { issuersCommand } from './client/issuers.ts';
import { planCommand } from './client/plan.ts';
import { restoreCommand } from './client/restore.ts';
import { snapshotsCommand } from './client/snapshots.ts';
import { tokensCommand } from './client/tokens.ts';
import { undoCommand } from './client/undo.ts';
import { workloadsCommand } from './client/workloads.ts';

const COMMANDS = [
  hostsCommand,
  auditCommand,
  workloadsCommand,
  snapshotsCommand,
  intentsCommand,
  tokensCommand,
  issuersCommand,
  deployCommand,
  captureCommand,
  importCommand,
  planCommand,
  restoreCommand,
  undoCommand,
  cancelCommand,
  waitCommand,
];

/** Mounts them; how the program treats wrong usage holds for them too. */
export function addClientCommands(program: Command): void {
  for (const make of COMMANDS) {
    const command = make();
    inherit(command, program);
    program.addCommand(command);
  }
}

function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
