/**
 * What both programs set up before anything else is loaded: what happens when they are interrupted before a command listens, and
 * when nobody takes what they print.
 *
 * Guarantees: SIGINT and SIGTERM end a program that has no handler of its own yet with exit code 130, and with `--json` with one
 * object on standard output. A reader that went away is no failure of the work; output that could not be written is exit code 1 and
 * one line, never a stack trace.
 * Written for Node 20, which starts the programs where it is the one on the path (`pinned-node.ts`).
 */
import { writeSync } from 'node:fs';

const INTERRUPTED = 130;

export function prepareProgram(): void {
  endWhenInterrupted();
  outliveReaders();
}

/** What a command that listens itself does about a signal is its own affair; when it listens no more, it has said how it ended. */
function endWhenInterrupted(): void {
  let hasListened = false;
  const heard = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return;
    if (hasListened) process.exit(process.exitCode ?? INTERRUPTED);
    interrupted();
  };
  process.on('SIGINT', heard).on('SIGTERM', heard);
  process.on('newListener', (event) => {
    if (event === 'SIGINT' || event === 'SIGTERM') hasListened = true;
  });
}

/** Ends this process as one that was interrupted before it came to anything. */
export function interrupted(): never {
  const error = { code: 'INTERRUPTED', message: 'interrupted', hint: 'Run it again.' };
  const isJson = process.argv.includes('--json');
  tryWrite(isJson ? 1 : 2, isJson ? JSON.stringify({ ok: false, error }) : `${error.code}: ${error.message}`);
  process.exit(INTERRUPTED);
}

function outliveReaders(): void {
  let isTold = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.exitCode = 1;
    // Every write that fails comes here.
    if (isTold) return;
    isTold = true;
    tryWrite(2, `FILE_SYSTEM_FAILED: cannot write to standard output (${error.code ?? 'unknown'})`);
  });
  process.stderr.on('error', () => undefined);
}

function tryWrite(fd: 1 | 2, line: string): void {
  try {
    writeSync(fd, `${line}\n`);
  } catch {
    // Nobody is there to read it.
  }
}
