/** `refloat hosts ls` */
import type { Command } from 'commander';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { listHosts } from './resolve.ts';
import { table, timeText } from './text.ts';

export function hostsCommand(): Command {
  const group = commandGroup('hosts', 'machines with a Docker engine and an agent');
  const ls = clientCommand('ls', 'list the hosts').action(() =>
    runClient(ls, async ({ api }) => {
      const hosts = await listHosts(api);
      const columns = [
        { title: 'NAME', value: (host: (typeof hosts)[number]) => host.name },
        { title: 'ID', value: (host: (typeof hosts)[number]) => host.id },
        { title: 'AGENT SEEN', value: (host: (typeof hosts)[number]) => timeText(host.agentSeenAt) },
        { title: 'AGENT', value: (host: (typeof hosts)[number]) => host.agentVersion ?? '–' },
        { title: 'ENGINE', value: (host: (typeof hosts)[number]) => host.engineVersion ?? '–' },
      ];
      return { json: { hosts }, text: table(hosts, columns, 'No hosts yet.') };
    }),
  );
  return group.addCommand(ls);
}
