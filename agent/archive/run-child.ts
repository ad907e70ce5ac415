/**
 * The hidden command that turns a program into the archive's child process.
 *
 * `if (!runArchiveChild(process.argv)) …` must be the first thing that `refloat-agent` (and every other bundle that holds the
 * archive) does, with everything else behind a dynamic import: the child must not load engine or database code.
 */
import { isMainThread } from 'node:worker_threads';
import { CHILD_COMMAND } from './protocol.ts';

/** True when this process is the archive's child; it then runs by itself and the caller does nothing more. */
export function runArchiveChild(argv: readonly string[]): boolean {
  if (argv[2] !== CHILD_COMMAND) return false;
  if (isMainThread) void import('./child.ts').then(({ serveArchiveChild }) => serveArchiveChild());
  else void import('./writer-thread.ts');
  return true;
}
