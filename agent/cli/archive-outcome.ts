/** How `pack`, `unpack` and `verify` end: one JSON object or a few lines, and the exit code of the contract. */
import { statSync } from 'node:fs';
import { type ErrorCode, RefloatError, toRefloatError } from '../../db/errors.ts';
import { countSkipped, type Skipped } from '../../db/results.ts';
import { onStopSignals } from '../../db/stop-signals.ts';
import type { Limits } from '../archive/types.ts';

export interface OutcomeOptions {
  readonly json?: boolean;
}

/** The person named something that is not there, or is there already. */
const USAGE: ReadonlySet<ErrorCode> = new Set(['USAGE', 'CONFIG_INVALID', 'DESTINATION_EXISTS']);

/** Exit code of an error: 2 usage, 3 refused, 130 interrupted, 5 stuck, 1 anything else. */
function exitCodeOf(error: RefloatError): number {
  if (error.code === 'INTERRUPTED') return 130;
  if (USAGE.has(error.code) || error.details?.['usage'] === true) return 2;
  if (error.disposition === 'refuse') return 3;
  return error.disposition === 'stuck' ? 5 : 1;
}

/**
 * Runs a command to its end and sets the process's exit code. SIGINT and SIGTERM abort it.
 * @param action returns what `--json` prints beside `ok`
 * @param describe the lines for people
 */
export async function runToOutcome<T extends object>(
  options: OutcomeOptions,
  action: (signal: AbortSignal) => Promise<T>,
  describe: (result: T) => readonly string[],
): Promise<void> {
  const controller = new AbortController();
  const letGo = onStopSignals(['SIGINT', 'SIGTERM'], () => controller.abort());
  try {
    const result = await action(controller.signal);
    process.exitCode = 0;
    if (options.json === true) print({ ok: true, ...result });
    else process.stdout.write(`${describe(result).join('\n')}\n`);
  } catch (thrown) {
    const error = toRefloatError(thrown);
    const { entry, rule } = (error.details ?? {}) as { entry?: string; rule?: string };
    if (options.json === true) {
      const extra = { ...(entry === undefined ? {} : { entry }), ...(rule === undefined ? {} : { rule }) };
      print({ ok: false, error: { code: error.code, message: error.message, hint: error.hint, ...extra } });
    } else process.stderr.write(`${error.code}: ${error.message}\n${error.hint}\n`);
    process.exitCode = exitCodeOf(error);
  } finally {
    letGo();
  }
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** What the person named must be a directory. @throws RefloatError `SOURCE_MISSING` */
export function requireDirectory(path: string, hint: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new RefloatError('SOURCE_MISSING', `there is no directory ${path}`, { hint, details: { usage: true } });
}

/** The limits that a person may set on an archive. @throws RefloatError USAGE */
export function parseLimits(options: {
  readonly maxBytes?: string;
  readonly maxEntries?: string;
  readonly maxRatio?: string;
  readonly maxPath?: string;
  readonly maxDepth?: string;
}): Partial<Limits> {
  const { maxBytes, maxEntries, maxRatio, maxPath, maxDepth } = options;
  return {
    ...(maxBytes === undefined ? {} : { maxBytes: parseCount('--max-bytes', maxBytes) }),
    ...(maxEntries === undefined ? {} : { maxEntries: parseCount('--max-entries', maxEntries) }),
    ...(maxRatio === undefined ? {} : { maxRatio: parseCount('--max-ratio', maxRatio) }),
    ...(maxPath === undefined ? {} : { maxPathBytes: parseCount('--max-path', maxPath) }),
    ...(maxDepth === undefined ? {} : { maxDepth: parseCount('--max-depth', maxDepth) }),
  };
}

/** A whole number of an option. @throws RefloatError USAGE */
function parseCount(option: string, text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new RefloatError('USAGE', `${option} needs a whole number, not "${text}"`, { hint: 'Give digits alone.' });
}

/** At most twenty lines about what is missing. */
export function describeSkipped(skipped: readonly Skipped[]): string[] {
  const lines = skipped
    .slice(0, 20)
    .map(({ path, reason, detail }) => `  ${reason}: ${path}${detail === undefined ? '' : ` (${detail})`}`);
  if (skipped.length === 0) return [];
  return [
    `Left out or not put back as it was (${countSkipped(skipped)}):`,
    ...lines,
    ...(skipped.length > 20 ? ['  … (--json names more)'] : []),
  ];
}
