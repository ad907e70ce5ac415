/** `refloat intents ls [WORKLOAD]`, `refloat intents show INTENT`, `refloat wait INTENT` and `refloat cancel INTENT` */
import type { Command } from 'commander';
import type { Api } from './api.ts';
import { type Answer, clientCommand, commandGroup, runClient } from './command.ts';
import { intentText } from './intent-text.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findWorkload, intentId, listWorkloads } from './resolve.ts';
import { type Column, durationText, table, timeText } from './text.ts';
import type { IntentAnswer, WorkloadAnswer } from './wire.ts';

export function intentsCommand(): Command {
  const group = commandGroup('intents', 'what hosts were asked to do').alias('intent');
  const ls: Command = clientCommand('ls [workload]', 'list the intents, newest first').action((name?: string) =>
    runClient(ls, async ({ api }): Promise<Answer> => {
      const workloads = await listWorkloads(api);
      const only = name === undefined ? '' : `&workloadId=${(await findWorkload(api, name)).id}`;
      const intents = await api.list<IntentAnswer>(`/api/intents?limit=500${only}`, 'intents');
      return { json: { intents }, text: table(intents, columns(workloads), 'No intents yet.') };
    }),
  );
  const show: Command = clientCommand('show <intent>', 'state, steps and result of an intent').action((id: string) =>
    runClient(show, async ({ api }): Promise<Answer> => {
      const intent = await api.get<IntentAnswer>(`/api/intents/${intentId(id)}`);
      return { json: { intent }, text: intentText(intent, await workloadName(api, intent)) };
    }),
  );
  return group.addCommand(ls).addCommand(show);
}

export function waitCommand(): Command {
  const command: Command = clientCommand(
    'wait <intent>',
    'follow an intent to its end; the exit code is the outcome',
  ).action((id: string) =>
    runClient(command, async (context) => {
      const intent = await context.api.get<IntentAnswer>(`/api/intents/${intentId(id)}`);
      return outcomeOf(context, intent, await workloadName(context.api, intent), true);
    }),
  );
  return command;
}

export function cancelCommand(): Command {
  const command: Command = clientCommand('cancel <intent>', 'take back what is under way, up to the commit point')
    .addOption(waitOption())
    .action((id: string) =>
      runClient(command, async (context) => {
        const intent = await context.api.post<IntentAnswer>(`/api/intents/${intentId(id)}/cancel`);
        const workload = await workloadName(context.api, intent);
        const wait = command.opts<{ wait?: boolean }>().wait === true;
        const answer = await outcomeOf(context, intent, workload, wait);
        if (!wait)
          return {
            ...answer,
            text: `cancel of the ${intent.kind} of ${workload} was accepted\n  follow it with: refloat wait ${intent.id}`,
          };
        // Here being cancelled is what was asked for.
        const { intent: over } = answer.json as { intent: IntentAnswer };
        if (over.state !== 'cancelled') return answer;
        return { json: answer.json, text: answer.text };
      }),
    );
  return command;
}

/** The workload's name, or its id where the credential may not read workloads. */
async function workloadName(api: Api, intent: IntentAnswer): Promise<string> {
  const workload = await api.get<WorkloadAnswer>(`/api/workloads/${intent.workloadId}`).catch(() => undefined);
  return workload?.name ?? intent.workloadId;
}

function columns(workloads: readonly WorkloadAnswer[]): Column<IntentAnswer>[] {
  return [
    { title: 'ID', value: (intent) => intent.id },
    { title: 'KIND', value: (intent) => intent.kind },
    {
      title: 'WORKLOAD',
      value: (intent) => workloads.find((workload) => workload.id === intent.workloadId)?.name ?? intent.workloadId,
    },
    { title: 'STATE', value: (intent) => intent.state },
    { title: 'STEP', value: (intent) => intent.step ?? '–' },
    { title: 'CREATED', value: (intent) => timeText(intent.createdAt) },
    {
      title: 'DOWNTIME',
      value: (intent) => (intent.result?.downtimeMs === undefined ? '–' : durationText(intent.result.downtimeMs)),
      right: true,
    },
    { title: 'BY', value: (intent) => intent.requestedBy },
    { title: 'ERROR', value: (intent) => intent.error?.code ?? '' },
  ];
}
