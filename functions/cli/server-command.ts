/**
 * What the commands of the hosted side share.
 *
 * Guarantees: errors go to standard error, and with `--json` as one object last on standard output; `process.exitCode` is set.
 */
import { type ErrorCode, type RefloatError, toRefloatError } from '../../db/errors.ts';
import { exitCodeOfError } from './client/exit-code.ts';

const PREREQUISITES: ReadonlySet<ErrorCode> = new Set(['CONFIG_INVALID', 'AGENT_RUNNING', 'ENGINE_UNAVAILABLE']);

/** Runs a command and turns what it throws into output and exit code. */
export async function runServerCommand(json: boolean, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    failWith(json, toRefloatError(thrown));
  }
}

export function failWith(json: boolean, error: RefloatError): void {
  const { code, message, hint } = error;
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: { code, message, hint } })}\n`);
  else process.stderr.write(`refloat: ${message} (${code})\n${hint === '' ? '' : `  ${hint}\n`}`);
  // A missing prerequisite is the caller's to provide: 2, like wrong usage.
  process.exitCode = PREREQUISITES.has(code) ? 2 : exitCodeOfError(error);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
