/** The harness on one screen: every sweep, with what a full run tries at least. */
import type { SweepEntry } from './sweep.ts';

export const SWEEPS: readonly SweepEntry[] = [
  {
    name: 'kill',
    what: 'SIGKILL at the n-th of every system call that changes something',
    full: 4000,
    sample: 24,
    load: async () => (await import('./kill.ts')).kill,
  },
  {
    name: 'errors',
    what: 'each system call fails at the n-th time, once and lasting, with eight errors',
    full: 4000,
    sample: 24,
    load: async () => (await import('../fault/errors.ts')).errors,
  },
  {
    name: 'power',
    what: 'power lost before the n-th change of the disk, on ext4 and xfs, and again while recovering',
    full: 5000,
    sample: 40,
    load: async () => (await import('../fault/power.ts')).power,
  },
];
