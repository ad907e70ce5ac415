/** `refloat snapshots ls [WORKLOAD]` and `refloat snapshots delete WORKLOAD SNAPSHOT` */
import type { Command } from 'commander';
import { clientCommand, commandGroup, runClient } from './command.ts';
import { outcomeOf, waitOption } from './outcome.ts';
import { findSnapshotId, findWorkload, listSnapshots, listWorkloads } from './resolve.ts';
import { bytesText, type Column, table, timeText } from './text.ts';
import type { IntentAnswer, SnapshotAnswer } from './wire.ts';

type Row = SnapshotAnswer & { readonly workload: string };

export function snapshotsCommand(): Command {
  const group = commandGroup('snapshots', "verified copies of workloads' volumes").alias('snapshot');
  const ls = clientCommand('ls [workload]', 'list the snapshots of one workload, or of all').action((name?: string) =>
    runClient(ls, async ({ api }) => {
      const workloads = name === undefined ? await listWorkloads(api) : [await findWorkload(api, name)];
      const lists = await Promise.all(
        workloads.map(async (workload) =>
          (await listSnapshots(api, workload.id)).map((snapshot): Row => ({ ...snapshot, workload: workload.name })),
        ),
      );
      const snapshots = lists.flat().sort((a, b) => Date.parse(b.capturedAt) - Date.parse(a.capturedAt));
      return {
        json: { snapshots },
        text: table(snapshots, COLUMNS, 'No snapshots yet. Make one with: refloat capture WORKLOAD --wait'),
      };
    }),
  );
  const remove: Command = clientCommand(
    'delete <workload> <snapshot>',
    'delete a snapshot, unless it is the last copy of a previous state',
  )
    .addOption(waitOption())
    .action((name: string, snapshot: string) =>
      runClient(remove, async (context) => {
        const workload = await findWorkload(context.api, name);
        const id = await findSnapshotId(context.api, workload, snapshot);
        const intent = await context.api.delete<IntentAnswer>(`/api/workloads/${workload.id}/snapshots/${id}`);
        return outcomeOf(context, intent, workload.name, remove.opts<{ wait?: boolean }>().wait === true);
      }),
    );
  return group.addCommand(ls).addCommand(remove);
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'WORKLOAD', value: (row) => row.workload },
  { title: 'ID', value: (row) => row.id },
  { title: 'CAPTURED', value: (row) => timeText(row.capturedAt) },
  { title: 'KIND', value: (row) => row.kind },
  { title: 'SIZE', value: (row) => bytesText(row.archiveBytes), right: true },
  { title: 'CONTENT', value: (row) => bytesText(row.contentBytes), right: true },
  { title: 'ENTRIES', value: (row) => String(row.entries), right: true },
  { title: 'IMAGE', value: (row) => row.image },
];
