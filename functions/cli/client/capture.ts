/** `refloat capture WORKLOAD` */
import type { Command } from 'commander';
import { clientCommand, runClient } from './command.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findWorkload } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

export function captureCommand(): Command {
  const command: Command = clientCommand('capture <workload>', 'take a snapshot of all volumes of a workload')
    .addOption(waitOption())
    .action((name: string) =>
      runClient(command, async (context) => {
        const workload = await findWorkload(context.api, name);
        const intent = await context.api.post<IntentAnswer>(`/api/workloads/${workload.id}/snapshots`, {});
        return outcomeOf(context, intent, workload.name, command.opts<{ wait?: boolean }>().wait === true);
      }),
    );
  return command;
}
