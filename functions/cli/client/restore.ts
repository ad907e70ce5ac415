/** `refloat restore WORKLOAD SNAPSHOT --confirm WORKLOAD` */
import { isCancel, text } from '@clack/prompts';
import type { Command } from 'commander';
import { RefloatError } from '../../../db/errors.ts';
import { clientCommand, runClient } from './command.ts';
import { confirmedBy } from './confirmation.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findSnapshotId, findWorkload } from './resolve.ts';
import type { IntentAnswer } from './wire.ts';

export function restoreCommand(): Command {
  const command: Command = clientCommand(
    'restore <workload> <snapshot>',
    "put a workload's volumes back as a snapshot has them",
  )
    .option('--confirm <workload>', "the workload's name once more, since its present data is replaced")
    .addOption(waitOption())
    .action((name: string, snapshot: string) =>
      runClient(command, async (context) => {
        const { confirm, wait } = command.opts<{ confirm?: string; wait?: boolean }>();
        const workload = await findWorkload(context.api, name);
        const id = await findSnapshotId(context.api, workload, snapshot);
        const confirmation = confirm ?? (await askForName(workload.name, context.json));
        const intent = await context.api.post<IntentAnswer>(
          `/api/workloads/${workload.id}/snapshots/${id}/restore`,
          {},
          confirmedBy(confirmation),
        );
        return outcomeOf(context, intent, workload.name, wait === true);
      }),
    );
  return command;
}

/** On a terminal the name can be typed in; a script has to give it. */
async function askForName(name: string, json: boolean): Promise<string> {
  const missing = new RefloatError(
    'USAGE',
    "a restore replaces the present data, so it needs the workload's name once more",
    {
      hint: `Add: --confirm ${name}`,
    },
  );
  if (json || !process.stdin.isTTY || !process.stdout.isTTY) throw missing;
  const typed = await text({
    message: `This stops ${name} for a moment and replaces the data of its volumes. The present state is kept and can be brought back.\nType the workload's name to go on:`,
    validate: (value) => (value === name ? undefined : `That is not "${name}".`),
  });
  if (isCancel(typed)) throw missing;
  return typed;
}
