/** What a person reads of an intent that is over. */
import { planLines } from './plan-text.ts';
import { bytesText, durationText, plain, timeText } from './text.ts';
import type { IntentAnswer } from './wire.ts';

/** What each state means for whoever asked. */
const HEADLINE = {
  pending: 'waits for its host',
  claimed: 'was taken up by its host',
  running: 'is running',
  succeeded: 'succeeded',
  failed: 'failed',
  rolled_back: 'took itself back; the data and containers are as they were before',
  cancelled: 'was cancelled; the data and containers are as they were before',
  stuck: 'is stuck; a person must look, and nothing was deleted',
} as const satisfies Record<IntentAnswer['state'], string>;

export function intentText(intent: IntentAnswer, workload: string): string {
  const lines = [`${intent.kind} of ${plain(workload)} ${HEADLINE[intent.state]}`];
  const { result, error } = intent;
  if (error !== null) {
    lines.push(
      `  ${plain(error.message)} (${plain(error.code)}${error.step === undefined ? '' : `, in ${plain(error.step)}`})`,
    );
    if (error.hint !== '') lines.push(`  ${plain(error.hint)}`);
  }
  for (const [name, value] of facts(intent)) lines.push(`  ${name.padEnd(18)} ${plain(value)}`);
  for (const warning of result?.warnings ?? []) lines.push(`  warning: ${plain(warning)}`);
  for (const skipped of result?.skipped ?? [])
    lines.push(`  skipped: ${plain(skipped.volume ?? '')} ${plain(skipped.path)} (${plain(skipped.reason)})`);
  if (result?.plan !== undefined) lines.push(...planLines(result.plan));
  return lines.join('\n');
}

function facts(intent: IntentAnswer): [string, string][] {
  const { result } = intent;
  const found: [string, string | undefined][] = [
    ['downtime', downtimeText(intent)],
    ['steps', result?.steps?.map((step) => `${step.name} ${durationText(step.ms)}`).join(' · ')],
    ['image', result?.imageId === undefined ? undefined : `${result.image ?? ''} ${result.imageId}`.trim()],
    ['snapshot', result?.snapshotId],
    ['size', result?.bytes === undefined ? undefined : `${bytesText(result.bytes)}, ${result.entries ?? '?'} entries`],
    [
      'previous state',
      result?.preRestoreSnapshotId === undefined ? undefined : `snapshot ${result.preRestoreSnapshotId}`,
    ],
    ['', result?.preRestoreSnapshotPath],
    ['undo', undoText(intent)],
    ['intent', intent.id],
  ];
  return found.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]]));
}

/** A deploy that only started something had none. */
function downtimeText({ kind, result }: IntentAnswer): string | undefined {
  const ms = result?.downtimeMs;
  return ms === undefined || (kind === 'deploy' && ms === 0) ? undefined : durationText(ms);
}

function undoText(intent: IntentAnswer): string | undefined {
  if (intent.state !== 'succeeded' || (intent.kind !== 'restore' && intent.kind !== 'undo')) return undefined;
  const until = intent.result?.undoUntil;
  return `refloat undo ${intent.id}${until === undefined ? '' : `   (in place until ${timeText(until)})`}`;
}
