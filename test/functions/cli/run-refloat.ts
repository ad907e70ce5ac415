/** `refloat` as a process of its own, with nothing in its environment but what a test gives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { after } from 'node:test';
import { programOf } from '../../helpers/program.ts';

const PROGRAM = programOf('refloat');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of standard output, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever JSON came back
  readonly json: any;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard error holds the text. */
  said(text: string): Promise<void>;
}

const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

export function startRefloat(args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [...PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      running.delete(child);
      const last = stdout.trimEnd().split('\n').at(-1) ?? '';
      resolve({ code, stdout, stderr, json: last.startsWith('{') ? JSON.parse(last) : null });
    });
  });
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (stderr.includes(text)) resolve();
      };
      child.stderr.on('data', look);
      look();
      void ended.then(({ code }) => reject(new Error(`it ended with ${code} without saying "${text}": ${stderr}`)));
    });
  return { child, ended, said };
}

export function refloat(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return startRefloat(args, env).ended;
}
