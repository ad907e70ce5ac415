/** The live progress of an intent on standard error: a bar on a terminal, else one line for each finished step. */
import { SingleBar } from 'cli-progress';
import { INTENT_STEPS } from '../../../db/intent-steps.ts';
import type { StepEventData } from '../../../db/results.ts';
import type { Watcher } from './follow.ts';
import { bytesText, durationText, plain } from './text.ts';
import type { EventAnswer, IntentAnswer, ProgressAnswer } from './wire.ts';

export interface ProgressView extends Watcher {
  /** Leaves the terminal as it was; safe to call again. */
  close(): void;
}

/** For `--json` without a terminal: standard error stays empty. */
const SILENT: ProgressView = { event: () => {}, progress: () => {}, disconnected: () => {}, close: () => {} };

/** @param title what is being done, in front of the bar */
export function progressView(title: string, intent: IntentAnswer, json: boolean): ProgressView {
  if (process.stderr.isTTY) return bar(plain(title), intent);
  return json ? SILENT : lines();
}

function bar(title: string, first: IntentAnswer): ProgressView {
  const steps: string[] = [...INTENT_STEPS[first.kind]];
  const finished = new Set<string>();
  let current: ProgressAnswer = first;
  let note = 'waiting for the host';
  const view = new SingleBar({
    stream: process.stderr,
    format: `${title}  {bar}  {percentage} %  {note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
    linewrap: false,
  });
  view.start(1, 0, { note });
  const draw = () => {
    const { progress, step } = current;
    const known = step === null || finished.has(step) || progress === null || progress.bytesTotal === 0;
    const part = known ? 0 : Math.min(1, progress.bytesDone / progress.bytesTotal);
    const figures = known ? '' : `  ${bytesText(progress.bytesDone)} of ${bytesText(progress.bytesTotal)}`;
    view.update(Math.min(0.99, (finished.size + part) / Math.max(1, steps.length)), { note: note + figures });
  };
  return {
    event: (event) => {
      if (event.type === 'step') {
        const { step, status } = event.data as unknown as StepEventData;
        if (!steps.includes(step)) steps.push(step);
        if (status === 'done') finished.add(step);
        if (status === 'undone') finished.delete(step);
        note =
          status === 'undone'
            ? `${plain(step)} taken back`
            : status === 'failed'
              ? `${plain(step)} failed`
              : plain(step);
      }
      draw();
    },
    progress: (progress) => {
      current = progress;
      // The row lags behind the events.
      if (progress.step !== null && !finished.has(progress.step)) note = plain(progress.step);
      draw();
    },
    disconnected: () => {
      note = 'connection lost, trying again';
      draw();
    },
    close: () => view.stop(),
  };
}

function lines(): ProgressView {
  let lost = false;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  return {
    event: (event) => {
      lost = false;
      const line = lineOf(event);
      if (line !== undefined) say(line);
    },
    progress: () => {
      lost = false;
    },
    disconnected: () => {
      if (!lost) say('  connection lost, trying again');
      lost = true;
    },
    close: () => {},
  };
}

function lineOf(event: EventAnswer): string | undefined {
  if (event.type === 'warning')
    return `  warning: ${plain(String(event.data['message'] ?? JSON.stringify(event.data)))}`;
  if (event.type !== 'step') return undefined;
  const { step, status, ms, error } = event.data as unknown as StepEventData;
  if (status === 'started') return undefined;
  const took = ms === undefined ? '' : `  ${durationText(ms)}`;
  return `  ${plain(step).padEnd(12)} ${status}${took}${error === undefined ? '' : `  ${plain(error.message)}`}`;
}
