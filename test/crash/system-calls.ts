/**
 * The system calls at which faults are injected, by the name that the sweeps' table has for them, with how Node, koffi and libuv make
 * them; and how often an undisturbed run makes each.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEGIN_MARK } from './begin-mark.ts';
import type { Field } from './field.ts';
import type { Random } from './random.ts';
import { runDriver } from './run-driver.ts';

const CALLS = [
  'openat',
  'write',
  'pwrite64',
  'writev',
  'fsync',
  'syncfs',
  'ftruncate',
  'rename',
  'renameat2',
  'linkat',
  'symlinkat',
  'mkdir',
  'mkdirat',
  'unlink',
  'unlinkat',
  'rmdir',
  'fchown',
  'fchownat',
  'fchmod',
  'utimensat',
  'fsetxattr',
  'connect',
  'sendto',
  'sendmsg',
  'socket',
] as const;

export interface CallCount {
  readonly call: string;
  /** Calls before the work begins, and in all: of the agent's main thread, and of whichever thread makes most. */
  readonly agent: { readonly from: number; readonly to: number };
  readonly any: { readonly from: number; readonly to: number };
}

/** Runs the driver once, without a fault, and counts. */
export async function countCalls(field: Field, args: readonly string[]): Promise<CallCount[]> {
  const directory = mkdtempSync(join(tmpdir(), 'refloat-trace-'));
  try {
    const strace = [
      '-ff',
      '--seccomp-bpf',
      '-qq',
      '-e',
      'signal=none',
      '-o',
      join(directory, 't'),
      '-e',
      `trace=access,${CALLS.join()}`,
    ];
    const { code, errors } = await runDriver(field, args, { strace });
    if (code !== 0) throw new Error(`an undisturbed run ended with ${code}: ${errors}`);
    const threads = readdirSync(directory).map((name) => countThread(readFileSync(join(directory, name), 'latin1')));
    const agent = threads.find(({ hasMark }) => hasMark);
    if (agent === undefined) throw new Error('the mark of the beginning is not in the trace');
    return CALLS.map((call) => ({
      call,
      agent: { from: agent.before.get(call) ?? 0, to: agent.all.get(call) ?? 0 },
      any: {
        from: agent.before.get(call) ?? 0,
        to: Math.max(...threads.map(({ all }) => all.get(call) ?? 0)),
      },
    }));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function countThread(text: string): { hasMark: boolean; before: Map<string, number>; all: Map<string, number> } {
  const all = new Map<string, number>();
  let before = new Map<string, number>();
  let hasMark = false;
  for (const line of text.split('\n')) {
    const call = /^(\w+)\(/.exec(line)?.[1];
    if (call === undefined) continue;
    if (line.includes(BEGIN_MARK)) {
      hasMark = true;
      before = new Map(all);
    } else {
      all.set(call, (all.get(call) ?? 0) + 1);
    }
  }
  return { hasMark, before, all };
}

/** Whether strace did what it was told. */
export function wasInjected(trace: string): boolean {
  return trace.includes('(INJECTED') || trace.includes('+++ killed by SIGKILL +++');
}

/**
 * @param point `CALL#N`, or `CALL#N+` for the n-th and all that follow
 * @param what `signal=KILL` or `error=…`
 * @param everywhere in every process and thread, each of which counts for itself; else in the agent's main thread
 */
export function injection(point: string, what: string, everywhere: boolean): string[] {
  const [call = '', n = ''] = point.split('#');
  // strace 6.1 injects errors with its BPF filter, which is quicker, but no signals.
  const filter = what.startsWith('error=') ? ['--seccomp-bpf'] : [];
  return [
    ...(everywhere ? ['-f', ...filter] : []),
    ...['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${n}`],
  ];
}

/** Writes of journal, spool and pipes are many; the calls that change most are few. */
const COMMON = / (write|openat|socket)#/;
/** Cases to spare: in another run some calls come in another order, and a point is not reached. */
const SPARE = 1.25;

/** Half of them among the rare calls. */
export function choose(points: readonly string[], count: number, random: Random): string[] {
  const many = Math.ceil(count * SPARE) + 20;
  const rare = random.shuffle(points.filter((point) => !COMMON.test(point))).slice(0, Math.ceil(many / 2));
  const taken = new Set(rare);
  const others = random.shuffle(points.filter((point) => !taken.has(point)));
  return random.shuffle([...rare, ...others.slice(0, many - rare.length)]);
}
