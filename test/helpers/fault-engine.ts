/** The real engine, behind a wire that is cut: for good, as a crash of the agent leaves things behind, or for some calls. */
import type { Engine, MountInfo } from '../../agent/docker/engine.ts';
import { RefloatError } from '../../db/errors.ts';

const CHANGING: ReadonlySet<string> = new Set([
  'create',
  'start',
  'stop',
  'pause',
  'unpause',
  'remove',
  'rename',
  'setRestartPolicy',
  'createVolume',
  'pull',
]);

/** Nobody tries it again: an agent that is dead does not. */
export class Cut extends RefloatError {
  constructor(property: string) {
    super('INTERRUPTED', `cut at ${property}`, { hint: 'It is a test.', disposition: 'stuck' });
  }
}

export interface CutEngine {
  readonly engine: Engine;
  /** Changing calls that were asked for, the cut ones included. */
  calls(): number;
}

/**
 * @param at number of the call, from 1, that is the first not to come back: it has its effect, but the answer is lost. What a crash
 *   before its effect leaves is what the call before it left; so 0 cuts before the first.
 */
export function cutEngine(real: Engine, at: number): CutEngine {
  let calls = 0;
  const engine = new Proxy(real, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as unknown;
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        if (CHANGING.has(String(property))) {
          calls += 1;
          if (calls === at) await (Reflect.apply(member, target, args) as Promise<unknown>);
        }
        if (calls >= at) throw new Cut(String(property));
        return Reflect.apply(member, target, args) as Promise<unknown>;
      };
    },
  });
  return { engine, calls: () => calls };
}

/** @param from number of the changing call, from 1, that is the first not to reach it; from there on so many calls, of any kind, do not */
export function awayEngine(real: Engine, from: number, lost: number): Engine {
  let [calls, left] = [0, lost];
  return new Proxy(real, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as unknown;
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        if (CHANGING.has(String(property))) calls += 1;
        if (calls < from || left === 0) return Reflect.apply(member, target, args) as Promise<unknown>;
        left -= 1;
        throw new RefloatError('ENGINE_UNAVAILABLE', 'nobody answers', { hint: 'Wait.', disposition: 'retry' });
      };
    },
  });
}

/** Docker tells the mounts of a container in any order: in this one those come first of which `isFirst` says so. */
export function mountsFirst(real: Engine, isFirst: (mount: MountInfo) => boolean): Engine {
  return new Proxy(real, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as (...args: unknown[]) => unknown;
      if (property !== 'activeMounts') return member.bind(target);
      const rank = (mount: MountInfo): number => (isFirst(mount) ? 0 : 1);
      return async () =>
        (await real.activeMounts()).map((container) => ({
          ...container,
          mounts: container.mounts.toSorted((a, b) => rank(a) - rank(b)),
        }));
    },
  });
}
