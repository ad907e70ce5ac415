/** `refloat plan WORKLOAD SNAPSHOT`: waits for the plan unless told not to, since it is nothing without its answer. */
import { type Command, Option } from 'commander';
import { clientCommand, runClient } from './command.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findSnapshotId, findWorkload } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

export function planCommand(): Command {
  const command: Command = clientCommand(
    'plan <workload> <snapshot>',
    'all checks of a restore, without touching anything',
  )
    .addOption(waitOption())
    .addOption(new Option('--no-wait', 'only ask for it'))
    .action((name: string, snapshot: string) =>
      runClient(command, async (context) => {
        const workload = await findWorkload(context.api, name);
        const id = await findSnapshotId(context.api, workload, snapshot);
        const intent = await context.api.post<IntentAnswer>(`/api/workloads/${workload.id}/snapshots/${id}/plan`, {});
        return outcomeOf(context, intent, workload.name, command.opts<{ wait?: boolean }>().wait !== false);
      }),
    );
  return command;
}
