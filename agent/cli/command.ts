/**
 * How the host's commands end: with `--json` one object last on standard output, else lines for people; and the exit code
 * of the contract. Errors of people's own making go to standard error with what to do about them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ErrorCode, type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { Environment } from '../config.ts';

export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, unwound: 4, stuck: 5, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface CommandOptions {
  readonly json?: boolean;
}

export interface CommandContext {
  readonly env: Environment;
  readonly json: boolean;
  /** Before the end: one JSON object, or a line for people. */
  readonly say: (object: Readonly<Record<string, unknown>>, line: string) => void;
}

export interface CommandResult {
  /** Members beside `ok`. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
  readonly exitCode?: ExitCode;
  /** When the exit code is not 0. */
  readonly error?: RefloatError;
}

/** Usage, or something that must be there first. */
const PREREQUISITES: ReadonlySet<ErrorCode> = new Set([
  'USAGE',
  'CONFIG_INVALID',
  'AGENT_RUNNING',
  'NOT_ENROLLED',
  'ENGINE_UNAVAILABLE',
  'ENROLLMENT_INVALID',
  'FILE_SYSTEM_FAILED',
]);

/** Runs a command's work; prints, and sets the exit code. Never throws. */
export async function runCommand(
  options: CommandOptions,
  work: (context: CommandContext) => Promise<CommandResult>,
): Promise<void> {
  const json = options.json === true;
  const say: CommandContext['say'] = (object, line) => {
    process.stdout.write(json ? `${JSON.stringify(object)}\n` : `${line}\n`);
  };
  try {
    const result = await work({ env: process.env, json, say });
    const { exitCode = EXIT.done, error } = result;
    const head =
      exitCode === EXIT.done ? { ok: true } : { ok: false, ...(error === undefined ? {} : { error: error.toJSON() }) };
    say({ ...head, ...result.json }, result.lines.join('\n'));
    process.exitCode = exitCode;
  } catch (thrown) {
    const error = toRefloatError(thrown);
    printError(json, error);
    process.exitCode = exitCodeOf(error);
  }
  // What could not be written is known a turn later, and changes the exit code.
  await nextTurn();
  // The work is over; a socket that the database's driver lost sight of must not keep the process.
  process.exit();
}

export function printError(json: boolean, error: RefloatError): void {
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: error.toJSON() })}\n`);
  else process.stderr.write(`${error.code}: ${error.message}\n${error.hint}\n`);
}

function exitCodeOf(error: RefloatError): ExitCode {
  if (error.code === 'INTERRUPTED') return EXIT.interrupted;
  if (PREREQUISITES.has(error.code)) return EXIT.usage;
  if (error.disposition === 'stuck') return EXIT.stuck;
  return error.disposition === 'refuse' ? EXIT.refused : EXIT.failed;
}
