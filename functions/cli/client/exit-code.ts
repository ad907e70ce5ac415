/** The exit code of a command is its outcome; the list is part of the public surface. */
import type { RefloatError } from '../../../db/errors.ts';
import type { IntentAnswer } from './wire.ts';

export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, rolledBack: 4, stuck: 5, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Of an intent that is over, or is left to itself. */
export function exitCodeOfIntent(intent: IntentAnswer): ExitCode {
  switch (intent.state) {
    case 'succeeded':
      return intent.result?.plan?.ok === false ? EXIT.refused : EXIT.done;
    case 'failed':
      return intent.error?.disposition === 'refuse' ? EXIT.refused : EXIT.failed;
    case 'rolled_back':
    case 'cancelled':
      return EXIT.rolledBack;
    case 'stuck':
      return EXIT.stuck;
    default:
      return EXIT.done;
  }
}

/** Of a command that ended with an error before there was an intent. */
export function exitCodeOfError(error: RefloatError): ExitCode {
  switch (error.code) {
    case 'USAGE':
    case 'BAD_REQUEST':
    case 'VALIDATION_FAILED':
      return EXIT.usage;
    case 'INTERRUPTED':
      return EXIT.interrupted;
    default:
      if (error.disposition === 'stuck') return EXIT.stuck;
      return error.disposition === 'refuse' ? EXIT.refused : EXIT.failed;
  }
}
