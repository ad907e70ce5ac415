/** `refloat plan WORKLOAD SNAPSHOT` */
import type { Command } from 'commander';
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
    .action((name: string, snapshot: string) =>
      runClient(command, async (context) => {
        const workload = await findWorkload(context.api, name);
        const id = await findSnapshotId(context.api, workload, snapshot);
        const intent = await context.api.post<IntentAnswer>(`/api/workloads/${workload.id}/snapshots/${id}/plan`, {});
        return outcomeOf(context, intent, workload.name, command.opts<{ wait?: boolean }>().wait === true);
      }),
    );
  return command;
}
