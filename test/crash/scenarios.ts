/** What the hosts of the sweeps are like. */
import type { WorkloadConfig } from '../../db/workload.ts';
import type { Random } from './random.ts';

interface Shape {
  readonly volumes: readonly ('project' | 'stage')[];
  readonly replicas: number;
  readonly restart: WorkloadConfig['restart'];
  /** The first volume is one, so that its entries change places one by one. */
  readonly isMountPoint?: true;
  /** A restore came before; its previous trees come back. */
  readonly isUndo?: true;
  /** The application ends at once when it finds the new version, so that the restore takes itself back. */
  readonly endsOnNew?: true;
  /** The application changes the top of the first volume when it finds version two (`application.ts`). */
  readonly writes?: true;
}

const shapes = <Name extends string>(all: Readonly<Record<Name, Shape>>): Readonly<Record<Name, Shape>> => all;

const SWEPT = shapes({
  /** One volume, one container with policy `always`. */
  one: { volumes: ['project'], replicas: 1, restart: 'always' },
  /** Two volumes in two places; one container runs, one is paused, one is stopped. */
  two: { volumes: ['project', 'stage'], replicas: 3, restart: 'unless-stopped' },
  mount: { volumes: ['project', 'stage'], replicas: 1, restart: 'on-failure:3', isMountPoint: true },
  undo: { volumes: ['project', 'stage'], replicas: 1, restart: 'always', isUndo: true },
  unwind: { volumes: ['project', 'stage'], replicas: 2, restart: 'always', endsOnNew: true },
  /** The configuration was changed since the containers were made, so that they are made anew. */
  recreate: { volumes: ['project'], replicas: 2, restart: 'always' },
  /** The application runs on the new entries of a mount point, and changes them. */
  'mount-writes': {
    volumes: ['project', 'stage'],
    replicas: 2,
    restart: 'always',
    isMountPoint: true,
    writes: true,
  },
  /** It does not like what it finds after all. */
  'mount-unwind': {
    volumes: ['project', 'stage'],
    replicas: 2,
    restart: 'always',
    isMountPoint: true,
    endsOnNew: true,
    writes: true,
  },
  /** It has run on what is undone. */
  'mount-undo': {
    volumes: ['project', 'stage'],
    replicas: 1,
    restart: 'always',
    isMountPoint: true,
    isUndo: true,
    writes: true,
  },
});

/** As `undo`, of other volumes; for what becomes of previous trees, not for the sweeps. */
const HELD = shapes({
  'undo-one': { volumes: ['project'], replicas: 1, restart: 'always', isUndo: true },
  'undo-mount': { volumes: ['project', 'stage'], replicas: 1, restart: 'always', isMountPoint: true, isUndo: true },
});

export const SCENARIOS = { ...SWEPT, ...HELD };
export type Scenario = keyof typeof SCENARIOS;
const SCENARIO_NAMES = Object.keys(SWEPT) as Scenario[];

/** All of them; for a small sample one, since making a field takes as long as ten cases. */
export function someScenarios(count: number, random: Random): Scenario[] {
  return count >= 100 ? SCENARIO_NAMES : [random.pick(SCENARIO_NAMES)];
}
