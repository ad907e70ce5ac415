/**
 * What every client command shares: its options, its output and its exit code.
 *
 * Guarantees: with `--json` exactly one object is printed, last, on standard output, for failures too; without it results
 * go to standard output, progress and errors to standard error. `process.exitCode` is set and nothing is thrown.
 */
import { Command, Option } from 'commander';
import { RefloatError, toRefloatError } from '../../../db/errors.ts';
import { onStopSignals } from '../../../db/stop-signals.ts';
import { Api } from './api.ts';
import { EXIT, type ExitCode, exitCodeOfError } from './exit-code.ts';
import { plain } from './text.ts';

const DEFAULT_API = 'http://127.0.0.1:8787';

export interface Context {
  readonly api: Api;
  readonly json: boolean;
  /** Aborted by Ctrl-C; the reason is a RefloatError `INTERRUPTED`. */
  readonly signal: AbortSignal;
}

export interface Answer {
  /** Members of the JSON object beside `ok`. */
  readonly json: Readonly<Record<string, unknown>>;
  /** What a person reads. */
  readonly text: string;
  readonly exitCode?: ExitCode;
  /** The command has written its result itself, whatever the form. */
  readonly silent?: true;
  /** When the exit code is not 0: what went wrong. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

interface ClientOptions {
  readonly api?: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** A group of subcommands. It has no options of its own: commander would let their defaults win over the subcommand's. */
export function commandGroup(name: string, description: string): Command {
  return new Command(name).description(description);
}

/** A subcommand with the options that all of them have. */
export function clientCommand(nameAndArguments: string, description: string): Command {
  const [name, ...parameters] = nameAndArguments.split(' ');
  const command = new Command(name).description(description);
  if (parameters.length > 0) command.arguments(parameters.join(' '));
  return withClientOptions(command);
}

function withClientOptions(command: Command): Command {
  return command
    .addOption(new Option('--api <url>', 'address of the API').env('REFLOAT_PUBLIC_URL').default(DEFAULT_API))
    .addOption(
      new Option('--token <jwt>', 'credential (better: the environment, since others can see arguments)').env(
        'REFLOAT_TOKEN',
      ),
    )
    .option('--json', 'one JSON object last on standard output');
}

/** Runs a command's work and prints what came of it. */
export async function runClient(command: Command, work: (context: Context) => Promise<Answer>): Promise<void> {
  const options = command.optsWithGlobals<ClientOptions>();
  const json = options.json === true;
  const abort = new AbortController();
  const interrupt = () => abort.abort(interrupted());
  // As often as it comes: a second one must not end this before it has said what came of it.
  const letGo = onStopSignals(['SIGINT', 'SIGTERM'], interrupt);
  try {
    const api = new Api({ baseUrl: apiUrl(options), token: tokenOf(options), signal: abort.signal });
    print(json, await work({ api, json, signal: abort.signal }));
  } catch (thrown) {
    printError(json, abort.signal.aborted ? interrupted() : toRefloatError(thrown));
  } finally {
    letGo();
  }
}

function interrupted(): RefloatError {
  return new RefloatError('INTERRUPTED', 'interrupted', {
    hint: 'What was asked for goes on without this command. See it with: refloat intents ls',
    disposition: 'fail',
  });
}

function apiUrl(options: ClientOptions): string {
  const text = options.api ?? DEFAULT_API;
  if (!/^https?:\/\/[^/]/.test(text) || !URL.canParse(text)) {
    throw new RefloatError('USAGE', `"${text}" is not the address of an API`, {
      hint: 'Give --api or REFLOAT_PUBLIC_URL as http(s)://host[:port].',
    });
  }
  return text;
}

function tokenOf(options: ClientOptions): string {
  const token = options.token?.trim();
  if (token !== undefined && /^[\w.~+/=-]+$/.test(token)) return token;
  throw new RefloatError(
    'USAGE',
    token === undefined || token === '' ? 'no credential' : 'the credential holds characters that no token has',
    {
      hint: 'Set REFLOAT_TOKEN to a token: refloat up prints one for the first admin, refloat token create makes others.',
    },
  );
}

function print(json: boolean, answer: Answer): void {
  const code = answer.exitCode ?? EXIT.done;
  if (answer.silent === true) {
    // It has written as it went, and may have failed at that.
    process.exitCode ??= code;
    return;
  }
  if (json) {
    const head = code === EXIT.done ? { ok: true } : { ok: false, error: answer.error };
    process.stdout.write(`${JSON.stringify({ ...head, ...answer.json })}\n`);
  } else if (code === EXIT.done) process.stdout.write(`${answer.text}\n`);
  else process.stderr.write(`${answer.text}\n`);
  process.exitCode = code;
}

function printError(json: boolean, error: RefloatError): void {
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: error.toJSON() })}\n`);
  else process.stderr.write(errorText(error));
  process.exitCode = exitCodeOfError(error);
}

function errorText(error: RefloatError): string {
  const lines = [`refloat: ${plain(error.message)} (${plain(error.code)})`];
  const intentId = error.details?.['intentId'];
  if (typeof intentId === 'string') lines.push(`  intent: ${plain(intentId)}`);
  const issues = error.details?.['errors'];
  if (Array.isArray(issues) && issues.length > 1) for (const issue of issues) lines.push(`  - ${issueText(issue)}`);
  if (error.hint !== '') lines.push(`  ${plain(error.hint)}`);
  return `${lines.join('\n')}\n`;
}

function issueText(issue: unknown): string {
  if (issue === null || typeof issue !== 'object') return plain(String(issue));
  const { path, message } = issue as { path?: unknown; message?: unknown };
  const where = String(path ?? '');
  return plain(where === '' ? String(message) : `${where}: ${String(message)}`);
}
