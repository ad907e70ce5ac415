/** `refloat undo INTENT` */
import type { Command } from 'commander';
import { clientCommand, runClient } from './command.ts';
import { workloadName } from './intents.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { intentId } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

export function undoCommand(): Command {
  const command: Command = clientCommand(
    'undo <intent>',
    'bring back the state from before a restore, or from before an undo',
  )
    .option('--confirm <workload>', "the workload's name; refused if the intent is another workload's")
    .addOption(waitOption())
    .action((id: string) =>
      runClient(command, async (context) => {
        const { confirm, wait } = command.opts<{ confirm?: string; wait?: boolean }>();
        const intent = await context.api.get<IntentAnswer>(`/api/intents/${intentId(id)}`);
        const name = await workloadName(context.api, intent);
        // The intent's id says which state is meant; the name is a second look for those who want one.
        const undo = await context.api.post<IntentAnswer>(
          `/api/intents/${intent.id}/undo`,
          {},
          { 'x-confirm-restore': confirm ?? name },
        );
        return outcomeOf(context, undo, name, wait === true);
      }),
    );
  return command;
}
