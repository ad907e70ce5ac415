/** `refloat workloads ls`, `refloat workload apply FILE` and `refloat workload adopt CONTAINER` */
import type { Command } from 'commander';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { listHosts, listWorkloads } from './resolve.ts';
import { type Column, table, timeText } from './text.ts';
import type { HostAnswer, WorkloadAnswer } from './wire.ts';
import { type AdoptOptions, adoptWorkload } from './workload-adopt.ts';
import { applyWorkload } from './workload-apply.ts';

export function workloadsCommand(): Command {
  const group = commandGroup('workloads', 'what runs on the hosts').alias('workload');
  const ls = clientCommand('ls', 'list the workloads').action(() =>
    runClient(ls, async ({ api }) => {
      const workloads = await listWorkloads(api);
      // A token that is limited to workloads may not see the hosts; their ids will do then.
      const hosts = await listHosts(api).catch(() => []);
      return {
        json: { workloads },
        text: table(workloads, columns(hosts), 'No workloads yet. Make one with: refloat workload apply FILE'),
      };
    }),
  );
  const apply: Command = clientCommand(
    'apply <file>',
    'create a workload from JSON or YAML, or update the one of that name',
  )
    .option('--host <name-or-id>', 'host to create it on, when the file names none and there are several')
    .action((file: string) =>
      runClient(apply, (context) => applyWorkload(context, file, apply.opts<{ host?: string }>().host)),
    );
  const adopt: Command = clientCommand(
    'adopt <container>',
    'make a workload of containers that something else created; they go on running as they are',
  )
    .option('--host <name-or-id>', 'the host that has it, when several have one of that name')
    .option('--name <name>', 'of the workload; of the Compose service or the container unless given')
    .option('--project <name>', 'of the workload')
    .option('--stage <name>', 'of the workload')
    .option('--volume <target...>', 'paths inside the container that become volumes; all mounts unless given')
    .option('--env-file <file>', 'its environment, where the host does not tell it')
    .option('--only', 'not the other containers of its Compose service')
    .action((container: string) =>
      runClient(adopt, (context) => adoptWorkload(context, container, adopt.opts<AdoptOptions>())),
    );
  return group.addCommand(ls).addCommand(apply).addCommand(adopt);
}

function columns(hosts: readonly HostAnswer[]): Column<WorkloadAnswer>[] {
  return [
    { title: 'NAME', value: (workload) => workload.name },
    { title: 'ID', value: (workload) => workload.id },
    { title: 'PROJECT', value: (workload) => `${workload.project}/${workload.config.stage}` },
    { title: 'HOST', value: (workload) => hosts.find((host) => host.id === workload.hostId)?.name ?? workload.hostId },
    { title: 'IMAGE', value: (workload) => workload.config.image },
    { title: 'VOLUMES', value: (workload) => workload.config.volumes.map((volume) => volume.name).join(', ') || '–' },
    { title: 'VERSION', value: (workload) => String(workload.version), right: true },
    { title: 'CHANGED', value: (workload) => timeText(workload.updatedAt) },
  ];
}
