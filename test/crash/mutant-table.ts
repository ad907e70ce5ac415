/** Guards of the restore engine, each taken out in turn, and the sweep that must notice. */
import type { Change } from './bundle.ts';
import type { DiskType } from './hosts.ts';
import type { Scenario } from './scenarios.ts';

export interface Mutant extends Change {
  readonly name: string;
  /** `cut`: everything ends before a change, then recovery; `error`: a change fails. */
  readonly by: 'cut' | 'error';
  readonly on: DiskType;
  readonly scenario: Scenario;
  /** Noticed within a few cases, so that a small sample may have it. */
  readonly isQuick?: true;
}

const cut = (
  name: string,
  scenario: Scenario,
  file: string,
  from: string,
  to = '',
  on: DiskType = 'tmpfs',
): Mutant => ({ name, by: 'cut', on, scenario, file, from, to });

const error = (name: string, scenario: Scenario, file: string, from: string, to = ''): Mutant => ({
  name,
  by: 'error',
  on: 'tmpfs',
  scenario,
  file,
  from,
  to,
});

const quick = (mutant: Mutant): Mutant => ({ ...mutant, isQuick: true });

/** The one that must not be noticed. */
export const CONTROL = 'control: nothing is taken out';

const STEPS = 'agent/restore/steps';

export const MUTANTS: readonly Mutant[] = [
  // A change of nothing: whoever notices it would notice anything.
  {
    ...cut(
      CONTROL,
      'unwind',
      'agent/restore/run-saga.ts',
      'function fail(message: string): never {',
      'function fail(message: string): never {\n',
    ),
  },
  // What only a power cut shows.
  cut(
    'journal: a record is not synced',
    'two',
    'agent/restore/journal.ts',
    'if (sync) syncDescriptor(this.#fd, this.path);',
    '',
    'xfs',
  ),
  quick(
    cut('stage: the new tree is not synced', 'one', 'agent/archive/extract.ts', 'await syncDisk(sync);', '', 'ext4'),
  ),
  quick(
    cut(
      'preserve: the archive is not synced',
      'one',
      'agent/archive/frame-sink.ts',
      'syncDescriptor(this.#fd, this.#path);',
      '',
      'ext4',
    ),
  ),
  quick(
    cut(
      'preserve: the manifest is not synced',
      'one',
      'agent/fs/durable.ts',
      'syncDescriptor(fd, temporary);',
      '',
      'ext4',
    ),
  ),
  // The journal.
  cut('journal: begun steps are not recorded', 'two', 'agent/restore/run-saga.ts', 'else append(run, record);'),
  cut(
    'journal: the unwinding is not recorded',
    'unwind',
    'agent/restore/recovery-plan.ts',
    'applies: (state) => state?.unwinding !== null,',
    'applies: (state) => state === undefined,',
  ),
  cut('journal: the commit point is not recorded', 'two', 'agent/restore/run-saga.ts', "        { type: 'commit' },\n"),
  error('journal: it goes on after a failed write', 'one', 'agent/restore/journal.ts', 'this.#broken = true;'),
  error(
    'journal: failed, not stuck, when it takes no more',
    'undo',
    'agent/restore/run-journaled.ts',
    "return { state: 'stuck', result: null,",
    "return { state: 'failed', result: null,",
  ),
  // The disk.
  cut('swap: not exchanged back', 'unwind', `${STEPS}/swap.ts`, 'exchangeBack(exchange);'),
  cut(
    'swap: only the first volume',
    'two',
    `${STEPS}/swap.ts`,
    'exchangeForward(exchange);',
    "if (exchange.volume === 'v0') exchangeForward(exchange);",
  ),
  cut(
    'swap: the way back is not planned from the disk',
    'mount-unwind',
    `${STEPS}/swap.ts`,
    'arrived.includes(exchange.volume) ? ofArrived(exchange) : exchange',
    'arrived.includes(exchange.volume) ? exchange : exchange',
  ),
  cut(
    'swap: the way back is not recorded',
    'mount-unwind',
    `${STEPS}/swap.ts`,
    "note('returning', exchanges);",
    'void note;',
  ),
  cut('swap: the arrival is not recorded', 'mount-unwind', `${STEPS}/swap.ts`, 'noteArrival(context);'),
  cut(
    'swap: what has arrived is exchanged again',
    'mount-writes',
    `${STEPS}/swap.ts`,
    "return fact('exchanges').filter(({ volume }) => !arrived.includes(volume));",
    "return fact('exchanges').filter(() => arrived !== null);",
  ),
  cut(
    'exchange: what the application added stays',
    'mount-unwind',
    'agent/restore/exchange.ts',
    'new Set([...old.keys(), ...entriesOf(live), ...entriesOf(staging)])',
    'new Set(old.keys())',
  ),
  cut(
    'exchange: directories of a mount point in one step',
    'mount-unwind',
    'agent/restore/exchange-pair.ts',
    'return !movesTime && exchangeNames(live, staging);',
    'return movesTime === undefined || exchangeNames(live, staging);',
    'xfs',
  ),
  cut(
    'exchange: no look at what is there',
    'two',
    'agent/restore/exchange-pair.ts',
    "for (let state = probePair(pair); state !== 'after'; state = probePair(pair)) {",
    "for (let state: PairState = 'before', once = true; once; once = false) {",
  ),
  cut(
    'exchange: roots keep their metadata',
    'mount',
    'agent/restore/exchange.ts',
    'if (!isDeepStrictEqual(found, wanted)) writeRootMetadata(root, wanted);',
  ),
  cut(
    "exchange: the agent's own directory moves too",
    'mount',
    'agent/restore/exchange.ts',
    "text.startsWith('.refloat-') || ",
    '',
  ),
  cut('stage: what it made is not removed', 'one', `${STEPS}/stage.ts`, 'else await removeTree(privateDirectory);'),
  cut(
    "stage: the mount point's root keeps its new time",
    'mount',
    'agent/fs/keeping-time.ts',
    ', isBetween ? before : undefined',
  ),
  cut(
    'recovery: half-made snapshots stay',
    'one',
    'agent/snapshots/create-snapshot.ts',
    '  await removeTree(partial);\n  makeDirectoryDurably',
    '  makeDirectoryDurably',
  ),
  cut(
    'cleanup: the previous trees are forgotten',
    'one',
    `${STEPS}/cleanup.ts`,
    'held: targets.map(',
    'held: targets.slice(1).map(',
  ),
  cut(
    'cleanup: the undone intent keeps its trees',
    'undo',
    `${STEPS}/cleanup.ts`,
    "if (adoptedFrom !== null) markReleased(deps, adoptedFrom, 'adopted', intent.id);",
  ),
  error(
    'preserve: a snapshot that nobody is told of stays',
    'one',
    'agent/recover-host.ts',
    'await removeUnknownSnapshots(deps);',
  ),
  error(
    'recovery: what an undo took over stays named twice',
    'undo',
    'agent/recover-host.ts',
    'finishAdoptions(deps);',
  ),
  error('recovery: a wrong "stuck" stays', 'one', 'agent/recover-host.ts', 'correctStuck(deps, spoolOf);'),
  // Containers.
  cut('quiesce: restart policies stay', 'undo', `${STEPS}/quiesce.ts`, 'await disableRestarts(deps.engine, all);'),
  cut(
    'quiesce: nothing is started again',
    'one',
    `${STEPS}/quiesce.ts`,
    'const { gone } = await resume(deps.engine, all);',
    'const gone: string[] = [];',
  ),
  cut(
    'resume: the policy is not put back',
    'one',
    'agent/deploy/quiesce.ts',
    '    await engine.setRestartPolicy(container.id, container.restartPolicy);\n  }',
    '  }',
  ),
  error('recovery: replaced containers stay', 'recreate', 'agent/recover-host.ts', 'await removeReplaced(deps);'),
  error(
    'cleanup: a failure of the engine loses the previous trees',
    'one',
    `${STEPS}/cleanup.ts`,
    'await withRetries(finish, context.signal, TRIES).catch(',
    'await withRetries(finish, context.signal, TRIES).finally(() => undefined); void Promise.resolve().catch(',
  ),
  cut(
    'unwind: what was redeployed goes on running',
    'unwind',
    `${STEPS}/redeploy.ts`,
    'await undoRedeploy(context.deps, context.lock, redeployInput(context));\n    await stopAll(context);',
  ),
  cut(
    'unwind: oldest first',
    'unwind',
    'agent/restore/run-saga.ts',
    'new Set([...resuming(run.saga, state), ...[...run.saga.steps].reverse()])',
    'new Set([...resuming(run.saga, state), ...run.saga.steps])',
  ),
];
