/** `refloat issuers ls`, `refloat issuers add` and `refloat issuers rm` */
import type { Command } from 'commander';
import { RefloatError } from '../../../db/errors.ts';
import { isUuid } from '../../../db/ids.ts';
import type { ClaimCondition, IssuerRule } from '../../../db/issuer-rule.ts';
import type { Api } from './api.ts';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { listOf } from './list-of.ts';
import { readDocument } from './read-document.ts';
import { findWorkload } from './resolve.ts';
import { type Column, plain, table, timeText } from './text.ts';
import type { IssuerAnswer } from './wire.ts';

interface AddOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithm?: readonly string[];
  readonly when?: readonly string[];
  readonly scope?: readonly string[];
  readonly workload?: readonly string[];
  readonly project?: readonly string[];
  readonly rules?: string;
}

export function issuersCommand(): Command {
  const group = commandGroup('issuers', 'issuers whose tokens are trusted, such as a CI system').alias('issuer');
  const ls: Command = clientCommand('ls', 'list the trusted issuers and their rules').action(() =>
    runClient(ls, async ({ api }) => {
      const issuers = await api.list<IssuerAnswer>('/api/issuers', 'issuers');
      return { json: { issuers }, text: table(issuers, COLUMNS, 'No issuer is trusted.') };
    }),
  );
  const add: Command = clientCommand(
    'add <name>',
    'trust an issuer; its tokens may do what the first matching rule says',
  )
    .requiredOption('--issuer <url>', 'iss of its tokens, to the letter')
    .requiredOption('--audience <audience>', 'aud that its tokens must have, for example the address of this API')
    .option('--algorithm <algorithm...>', 'how it signs; RS256 unless told')
    .option('--when <condition...>', 'claim=value, or claim~glob with * (no slash), ** and ?; all must hold')
    .option('--scope <scope...>', 'what its tokens may do then')
    .option('--workload <workload...>', 'on these workloads only, by name or id')
    .option('--project <project...>', 'on the workloads of these projects only')
    .option('--rules <file>', 'several rules, as JSON or YAML, instead of --when and what follows it')
    .action((name: string) =>
      runClient(add, async ({ api }) => {
        const options = add.opts<AddOptions>();
        const issuer = await api.post<IssuerAnswer>('/api/issuers', {
          name,
          issuer: options.issuer,
          audience: options.audience,
          ...(options.algorithm === undefined ? {} : { algorithms: listOf(options.algorithm) }),
          rules: options.rules === undefined ? [await ruleOf(api, options)] : await readDocument(options.rules),
        });
        return { json: { issuer }, text: `issuer ${plain(issuer.name)} is trusted` };
      }),
    );
  const rm: Command = clientCommand('rm <issuer>', 'trust an issuer no longer, by name or id').action(
    (nameOrId: string) =>
      runClient(rm, async ({ api }) => {
        const id = isUuid(nameOrId) ? nameOrId : await idOf(api, nameOrId);
        await api.delete(`/api/issuers/${id}`);
        return { json: { id }, text: `issuer ${plain(nameOrId)} is trusted no longer` };
      }),
  );
  return group.addCommand(ls).addCommand(add).addCommand(rm);
}

const COLUMNS: readonly Column<IssuerAnswer>[] = [
  { title: 'NAME', value: (issuer) => issuer.name },
  { title: 'ISSUER', value: (issuer) => issuer.issuer },
  { title: 'AUDIENCE', value: (issuer) => issuer.audience },
  { title: 'RULES', value: (issuer) => issuer.rules.map(ruleText).join('; ') },
  { title: 'KEYS FETCHED', value: (issuer) => timeText(issuer.keysFetchedAt) },
];

function ruleText({ claims, scopes, workloads, projects }: IssuerRule): string {
  const when = Object.entries(claims).map(([name, condition]) =>
    typeof condition === 'object' ? `${name}~${condition.glob}` : `${name}=${condition}`,
  );
  const limits = [...(workloads ?? []), ...(projects ?? []).map((project) => `project ${project}`)];
  return `${when.join(' ')} → ${scopes.join(' ')}${limits.length === 0 ? '' : ` on ${limits.join(', ')}`}`;
}

async function ruleOf(api: Api, options: AddOptions): Promise<IssuerRule> {
  const scopes = listOf(options.scope ?? []);
  if (options.when === undefined || scopes.length === 0) {
    throw new RefloatError('USAGE', 'a rule needs --when and --scope', {
      hint: 'For example: --when repository=acme/shop --when ref=refs/heads/main --scope restores:create',
    });
  }
  const workloads = await Promise.all(
    listOf(options.workload ?? []).map(async (name) => (await findWorkload(api, name)).id),
  );
  return {
    claims: Object.fromEntries(options.when.map(conditionOf)),
    scopes,
    ...(workloads.length === 0 ? {} : { workloads }),
    ...(options.project === undefined ? {} : { projects: listOf(options.project) }),
  };
}

function conditionOf(text: string): [string, ClaimCondition] {
  const match = /^([^=~]+)([=~])(.+)$/s.exec(text);
  const [, name, operator, value] = match ?? [];
  if (name !== undefined && value !== undefined) return [name, operator === '~' ? { glob: value } : value];
  throw new RefloatError('USAGE', `"${text}" is not a condition`, {
    hint: 'Write claim=value, or claim~glob. Conditions on numbers and booleans need --rules.',
  });
}

async function idOf(api: Api, name: string): Promise<string> {
  const issuers = await api.list<IssuerAnswer>('/api/issuers', 'issuers');
  const found = issuers.find((issuer) => issuer.name === name);
  if (found !== undefined) return found.id;
  throw new RefloatError('ISSUER_NOT_FOUND', `there is no issuer "${name}"`, {
    hint: 'See them with: refloat issuers ls',
  });
}
