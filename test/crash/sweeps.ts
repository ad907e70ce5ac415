/** The harness on one screen: every sweep, with what a full run tries at least. */
import { GUARD_MUTANTS } from './guard-mutant-table.ts';
import { MUTANTS } from './mutant-table.ts';
import type { SweepEntry } from './sweep.ts';

export const SWEEPS: readonly SweepEntry[] = [
  {
    name: 'kill',
    what: 'SIGKILL at the n-th of every system call that changes something',
    full: 4000,
    sample: 12,
    load: async () => (await import('./kill.ts')).kill,
  },
  {
    name: 'kill-in-recovery',
    what: 'the same while recovery runs, up to three times in a row, from every state of the journal',
    full: 1000,
    sample: 6,
    load: async () => (await import('./kill-in-recovery.ts')).killInRecovery,
  },
  {
    name: 'errors',
    what: 'each system call fails at the n-th time, once and lasting, with eight errors',
    full: 4000,
    sample: 12,
    load: async () => (await import('../fault/errors.ts')).errors,
  },
  {
    name: 'power',
    what: 'power lost before the n-th change of the disk, on ext4 and xfs, and again while recovering',
    full: 5000,
    sample: 16,
    load: async () => (await import('../fault/power.ts')).power,
  },
  {
    name: 'space',
    what: 'a small disk fills up in the middle, to 40 levels of blocks and of inodes',
    full: 240,
    sample: 6,
    load: async () => (await import('../fault/space.ts')).space,
  },
  {
    name: 'journal',
    what: 'cut at every byte, every bit flipped, records doubled, swapped, left out, foreign, of another version',
    full: 200_000,
    sample: 1000,
    load: async () => (await import('./journal.ts')).journal,
  },
  {
    name: 'model',
    what: 'a state machine of restores, kills, failures and power cuts over a simulated disk with a write cache',
    full: 100_000,
    sample: 500,
    load: async () => (await import('./model.ts')).model,
  },
  {
    name: 'mutants',
    what: 'a guard of the engine is taken out; the other sweeps, or a check of its own, must notice, by name',
    full: MUTANTS.length + GUARD_MUTANTS.length,
    sample: 2,
    caseMs: 1_200_000,
    load: async () => (await import('./mutants.ts')).mutants,
  },
  {
    name: 'engine',
    what: 'the real engine restarts, hangs, hangs up or answers with an error, at each of the calls made to it',
    full: 300,
    sample: 4,
    caseMs: 300_000,
    load: async () => (await import('../fault/engine.ts')).engine,
  },
  {
    name: 'database',
    what: 'Postgres is killed, restarted, cut off, half open or slow, from any statement and any record on',
    full: 300,
    sample: 4,
    caseMs: 300_000,
    load: async () => (await import('../fault/database.ts')).database,
  },
  {
    name: 'claims',
    what: 'up to 50 claimers on 10,000 intents; holders stopped beyond their lease; cancels racing the commit point; clock jumps',
    full: 2000,
    sample: 20,
    caseMs: 600_000,
    load: async () => (await import('../fault/claims.ts')).claims,
  },
];
