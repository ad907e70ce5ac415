/**
 * Runs the program again on the Node that it is pinned to, when somebody started it with an older one.
 *
 * Guarantees: signals, standard streams and the exit code pass through; what a signal ends before it listens is told as interrupted.
 * Without such a Node beside the program, exit code 2 and what to do.
 * Written for Node 20: it must not need what it is there to provide.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { interrupted } from './program-start.ts';

const OLDEST = 24;

/** True when this process is new enough; else another one takes over and the caller does nothing more. */
export function onPinnedNode(): boolean {
  if (Number(process.versions.node.split('.')[0]) >= OLDEST) return true;
  const node = findNode(dirname(fileURLToPath(import.meta.url)));
  if (node === null) {
    process.stderr.write(
      `This program needs Node ${OLDEST} or later; this is ${process.versions.node}. Install one, or run "npm ci" beside it.\n`,
    );
    process.exitCode = 2;
    return false;
  }
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // It had not come as far as to listen.
    if (signal === 'SIGINT' || signal === 'SIGTERM') interrupted();
    for (const each of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(each, pass);
    process.kill(process.pid, signal);
  });
  return false;
}

function findNode(from: string): string | null {
  const candidate = join(from, 'node_modules', '.bin', 'node');
  if (existsSync(candidate)) return candidate;
  return dirname(from) === from ? null : findNode(dirname(from));
}
