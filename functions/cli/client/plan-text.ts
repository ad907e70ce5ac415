/** What a person reads of a plan. */
import type { RestorePlan, TreeChanges } from '../../../db/results.ts';
import { bytesText, durationText, plain, timeText } from './text.ts';

/** Names shown of each kind of change; the JSON has more. */
const NAMES_SHOWN = 5;

export function planLines(plan: RestorePlan): string[] {
  const lines = [plan.ok ? 'The restore can begin.' : 'The restore would be refused:'];
  for (const refusal of plan.refusals)
    lines.push(`  ✗ ${plain(refusal.message)} (${plain(refusal.code)})`, `    ${plain(refusal.hint)}`);
  for (const warning of plan.warnings) lines.push(`  ! ${plain(warning)}`);
  for (const target of plan.targets) lines.push(...targetLines(target));
  for (const system of plan.fileSystems) {
    lines.push(
      `  ${plain(system.mountPoint)} (${plain(system.type)}): needs ${bytesText(system.bytesNeeded)} of ${bytesText(system.bytesFree)} and ${system.inodesNeeded} of ${inodesText(system.inodesFree)} inodes free`,
    );
  }
  for (const container of plan.containers)
    lines.push(
      `  stops ${plain(container.name)} (${plain(container.state)}, restart ${plain(container.restartPolicy)})`,
    );
  lines.push(...imageLines(plan), `  downtime ${downtimeText(plan)}`);
  return lines;
}

function targetLines(target: RestorePlan['targets'][number]): string[] {
  const where = target.within === null ? '' : `, in volume ${plain(target.within)}`;
  const { difference } = target;
  return [
    `  volume ${plain(target.volume)} (${plain(target.scope)}${where}) → ${plain(target.live)}: ${bytesText(target.bytes)}, ${target.entries} entries`,
    ...(difference === null
      ? []
      : [
          ...changeLines('+', 'come back', difference.added),
          ...changeLines('~', 'change', difference.changed),
          ...changeLines('-', 'go', difference.removed),
          `    = ${difference.unchanged} stay as they are${difference.complete ? '' : ' (not all of it was compared: there was no time)'}`,
        ]),
  ];
}

function changeLines(sign: string, verb: string, { count, names }: TreeChanges): string[] {
  if (count === 0) return [];
  const shown = names.slice(0, NAMES_SHOWN);
  const more = count > shown.length ? ` and ${count - shown.length} more` : '';
  return [`    ${sign} ${count} ${verb}: ${shown.map(plain).join(', ')}${more}`];
}

function imageLines({ image }: RestorePlan): string[] {
  if (image === null) return [];
  const moved =
    image.referenceId !== null && image.referenceId !== image.id
      ? ' (the reference stands for another image by now)'
      : '';
  return [`  starts again on ${plain(image.reference)} ${plain(image.id)}${moved}`];
}

function downtimeText({ downtime }: RestorePlan): string {
  const bound = `at most ${durationText(downtime.stopTimeoutMs)} to stop, and the start`;
  if (downtime.estimateMs === 0) return 'none: nothing runs';
  if (downtime.estimateMs === null || downtime.measuredAt === null) return `not measured yet: ${bound}`;
  return `about ${durationText(downtime.estimateMs)}, as on ${timeText(downtime.measuredAt)}; ${bound}`;
}

/** Some file systems make them as they go. */
function inodesText(free: number): string {
  return free === Number.MAX_SAFE_INTEGER ? 'any number of' : String(free);
}
