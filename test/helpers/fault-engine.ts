/**
 * The real engine, behind a wire that is cut: from the n-th changing call on, nothing reaches it. What a crash of the agent between
 * two calls leaves behind, without a crash.
 */
import type { Engine } from '../../agent/docker/engine.ts';

const CHANGING = [
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
] as const;

export class Cut extends Error {
  override readonly name = 'Cut';
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
  const changing: ReadonlySet<string> = new Set(CHANGING);
  const engine = new Proxy(real, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as unknown;
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        if (changing.has(String(property))) {
          calls += 1;
          if (calls === at) await (Reflect.apply(member, target, args) as Promise<unknown>);
        }
        if (calls >= at) throw new Cut(`cut at ${String(property)}`);
        return Reflect.apply(member, target, args) as Promise<unknown>;
      };
    },
  });
  return { engine, calls: () => calls };
}
