/** `refloat tokens ls`, `refloat token create` and `refloat token revoke` */
import type { Command } from 'commander';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { secondsOf } from './duration.ts';
import { listOf } from './list-of.ts';
import { findWorkload } from './resolve.ts';
import { type Column, plain, table, timeText } from './text.ts';
import type { TokenAnswer } from './wire.ts';

interface CreateOptions {
  readonly scope: readonly string[];
  readonly workload?: readonly string[];
  readonly project?: readonly string[];
  readonly ttl: string;
  readonly name?: string;
}

export function tokensCommand(): Command {
  const group = commandGroup('tokens', 'credentials for automation').alias('token');
  const ls: Command = clientCommand('ls', 'list the tokens').action(() =>
    runClient(ls, async ({ api }) => {
      const tokens = await api.list<TokenAnswer>('/api/tokens', 'tokens');
      return { json: { tokens }, text: table(tokens, COLUMNS, 'No tokens yet.') };
    }),
  );
  const create: Command = clientCommand('create', 'mint a token; it is shown once')
    .requiredOption('--scope <scope...>', 'what it may do, for example restores:create snapshots:read')
    .option('--workload <workload...>', 'limit it to these workloads, by name or id')
    .option('--project <project...>', 'limit it to the workloads of these projects')
    .option('--ttl <duration>', 'how long it is valid: 90s, 15m, 12h, 30d; 90d at most', '30d')
    .option('--name <name>', 'what it is for, in lists and in the audit')
    .action(() =>
      runClient(create, async ({ api }) => {
        const options = create.opts<CreateOptions>();
        const names = listOf(options.workload ?? []);
        const workloads = await Promise.all(names.map(async (name) => (await findWorkload(api, name)).id));
        const token = await api.post<TokenAnswer & { token: string }>('/api/tokens', {
          scopes: listOf(options.scope),
          ttlSeconds: secondsOf(options.ttl),
          ...(names.length === 0 ? {} : { workloads }),
          ...(options.project === undefined ? {} : { projects: listOf(options.project) }),
          ...(options.name === undefined ? {} : { subject: options.name }),
        });
        return { json: { token }, text: token.token };
      }),
    );
  const revoke: Command = clientCommand('revoke <jti>', 'end a token at once').action((jti: string) =>
    runClient(revoke, async ({ api }) => {
      await api.delete(`/api/tokens/${encodeURIComponent(jti)}`);
      return { json: { jti }, text: `token ${plain(jti)} revoked` };
    }),
  );
  return group.addCommand(ls).addCommand(create).addCommand(revoke);
}

const COLUMNS: readonly Column<TokenAnswer>[] = [
  { title: 'JTI', value: (token) => token.jti },
  { title: 'FOR', value: (token) => token.subject },
  { title: 'SCOPES', value: (token) => token.scopes.join(' ') },
  { title: 'WORKLOADS', value: (token) => (token.workloads === null ? 'all' : token.workloads.join(' ')) },
  { title: 'PROJECTS', value: (token) => (token.projects === null ? 'all' : token.projects.join(' ')) },
  { title: 'EXPIRES', value: (token) => timeText(token.expiresAt) },
  { title: 'REVOKED', value: (token) => (token.revokedAt === null ? '' : timeText(token.revokedAt)) },
];
