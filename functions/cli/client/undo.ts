/** `refloat undo INTENT` */
import type { Command } from 'commander';
import { RefloatError, toRefloatError } from '../../../db/errors.ts';
import type { Api } from './api.ts';
import { clientCommand, runClient } from './command.ts';
import { confirmedBy } from './confirmation.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { intentId } from './resolve.ts';
import type { IntentAnswer, WorkloadAnswer } from './wire.ts';

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
        // The intent's id says which state is meant; the name is a second look for those who want one.
        const name = confirm ?? (await nameToConfirm(context.api, intent));
        const undo = await context.api.post<IntentAnswer>(`/api/intents/${intent.id}/undo`, {}, confirmedBy(name));
        return outcomeOf(context, undo, name, wait === true);
      }),
    );
  return command;
}

async function nameToConfirm(api: Api, intent: IntentAnswer): Promise<string> {
  try {
    return (await api.get<WorkloadAnswer>(`/api/workloads/${intent.workloadId}`)).name;
  } catch (error) {
    if (toRefloatError(error).code !== 'FORBIDDEN') throw error;
    throw new RefloatError('USAGE', "this token may not read workloads, so the workload's name has to be given", {
      hint: `Add: --confirm NAME, the name of the workload ${intent.workloadId}.`,
      cause: error,
    });
  }
}
