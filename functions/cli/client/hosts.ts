/** `refloat hosts ls`, `refloat host rotate` and `refloat host revoke` */
import type { Command } from 'commander';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { findHost, listHosts } from './resolve.ts';
import { plain, table, timeText } from './text.ts';
import type { EnrollmentAnswer } from './wire.ts';

export function hostsCommand(): Command {
  const group = commandGroup('hosts', 'machines with a Docker engine and an agent').alias('host');
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
  const rotate: Command = clientCommand(
    'rotate <host>',
    'a one-time token with which the host gets a new password',
  ).action((nameOrId: string) =>
    runClient(rotate, async ({ api }) => {
      const host = await findHost(api, nameOrId);
      const enrollment = await api.post<EnrollmentAnswer>(`/api/hosts/${host.id}/enrollment`);
      const text = `On ${plain(host.name)}, within 15 minutes (the old password ends then; start the agent again):\n  refloat-agent enroll --api ${plain(api.base)} --token ${plain(enrollment.token)}`;
      return { json: { enrollment }, text };
    }),
  );
  const revoke: Command = clientCommand(
    'revoke <host>',
    'end its login, cut its connections and fail what it was asked to do; for good',
  ).action((nameOrId: string) =>
    runClient(revoke, async ({ api }) => {
      const host = await findHost(api, nameOrId);
      await api.delete(`/api/hosts/${host.id}`);
      return { json: { hostId: host.id }, text: `host ${plain(host.name)} revoked` };
    }),
  );
  return group.addCommand(ls).addCommand(rotate).addCommand(revoke);
}
