/** From an accepted intent to what the command prints: at once, or with `--wait` when it is over. */
import { Option } from 'commander';
import type { RefloatError } from '../../../db/errors.ts';
import type { Answer, Context } from './command.ts';
import { EXIT, exitCodeOfIntent } from './exit-code.ts';
import { follow } from './follow.ts';
import { intentText } from './intent-text.ts';
import { progressView } from './progress.ts';
import type { IntentAnswer } from './wire.ts';

export function waitOption(): Option {
  return new Option('--wait', 'follow it to its end; the exit code is the outcome');
}

/**
 * @param wait follow it; without, the answer is that it was accepted
 * @param workload the workload's name, for people
 */
export async function outcomeOf(
  context: Context,
  intent: IntentAnswer,
  workload: string,
  wait: boolean,
): Promise<Answer> {
  if (!wait) return accepted(intent, workload);
  const view = progressView(`${intent.kind} ${workload}`, intent, context.json);
  try {
    const over = await follow(context.api, intent.id, view, context.signal);
    view.close();
    return answerOf(over, workload);
  } finally {
    view.close();
  }
}

function accepted(intent: IntentAnswer, workload: string): Answer {
  const text = `${intent.kind} of ${workload} was accepted: intent ${intent.id}\n  follow it with: refloat wait ${intent.id}`;
  return { json: { intent }, text };
}

/** An intent that is over as a command's answer. */
function answerOf(intent: IntentAnswer, workload: string): Answer {
  const exitCode = exitCodeOfIntent(intent);
  const answer = { json: { intent }, text: intentText(intent, workload), exitCode };
  return exitCode === EXIT.done ? answer : { ...answer, error: errorOf(intent) };
}

function errorOf(intent: IntentAnswer): Pick<RefloatError, 'code' | 'message' | 'hint'> {
  if (intent.error !== null) return intent.error;
  const refusal = intent.result?.plan?.refusals[0];
  if (refusal !== undefined) return refusal;
  return {
    code: intent.state === 'cancelled' ? 'CANCELLED' : 'INTERNAL',
    message: `the intent is ${intent.state}`,
    hint: 'See its steps with: refloat intents show',
  };
}
