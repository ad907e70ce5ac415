/** `refloat deploy WORKLOAD` */
import type { Command } from 'commander';
import { clientCommand, runClient } from './command.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findWorkload } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

export function deployCommand(): Command {
  const command: Command = clientCommand('deploy <workload>', 'bring a workload up as it is configured')
    .option('--reference <image>', 'image reference instead of the configured one, this time')
    .addOption(waitOption())
    .action((name: string) =>
      runClient(command, async (context) => {
        const { reference, wait } = command.opts<{ reference?: string; wait?: boolean }>();
        const workload = await findWorkload(context.api, name);
        const intent = await context.api.post<IntentAnswer>(
          `/api/workloads/${workload.id}/deploy`,
          reference === undefined ? {} : { reference },
        );
        return outcomeOf(context, intent, workload.name, wait === true);
      }),
    );
  return command;
}
