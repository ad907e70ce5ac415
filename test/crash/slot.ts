/** One slot of the runner, a process of its own: opens a sweep, names its cases or runs them, one message at a time. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { randomOf } from './random.ts';
import type { CaseResult, SweepSession } from './sweep.ts';
import { SWEEPS } from './sweeps.ts';

export type ToSlot =
  | {
      readonly open: string;
      readonly index: number;
      readonly seed: string;
      readonly directory: string;
      readonly programs: string;
    }
  | { readonly cases: number }
  | { readonly run: string }
  | { readonly close: true };

export type FromSlot =
  | { readonly opened: true }
  | { readonly cases: readonly string[] }
  | { readonly ran: CaseResult }
  | { readonly closed: true }
  | { readonly failed: string };

let session: SweepSession | null = null;
let seed = '';
let opened = '';
let directory = '';

async function answer(message: ToSlot): Promise<FromSlot> {
  if ('open' in message) {
    const entry = SWEEPS.find(({ name }) => name === message.open);
    if (entry === undefined) throw new Error(`there is no sweep ${message.open}`);
    ({ seed, directory } = message);
    opened = entry.name;
    // One that was opened anew begins with nothing of what ended its predecessor.
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    session = await (await entry.load()).open({ index: message.index, seed, directory, programs: message.programs });
    return { opened: true };
  }
  if (session === null) throw new Error('no sweep is open');
  if ('cases' in message) return { cases: await session.cases(message.cases, randomOf(`${seed}/${opened}`)) };
  if ('run' in message) {
    const ran = await session.run(message.run).catch(
      (error: unknown): CaseResult => ({
        count: 1,
        violations: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
      }),
    );
    return { ran };
  }
  await session.close();
  session = null;
  rmSync(directory, { recursive: true, force: true });
  return { closed: true };
}

/**
 * This mount namespace began as a copy: what others had mounted would stay mounted here when they let go of it, where nothing
 * passes on that they did.
 */
function letGoOfOthersMounts(): void {
  const loops = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.includes('/refloat-loop-'));
  if (loops.length > 0) execFileSync('umount', ['--lazy', ...loops]);
}

letGoOfOthersMounts();
process.on('message', (message: ToSlot) => {
  void answer(message)
    .catch((error: unknown): FromSlot => ({ failed: error instanceof Error ? (error.stack ?? '') : String(error) }))
    .then((said) => process.send?.(said));
});
// The runner has gone.
process.on('disconnect', () => {
  void Promise.resolve(session?.close()).finally(() => process.exit(1));
});
