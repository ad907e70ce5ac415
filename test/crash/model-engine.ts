/** An engine in memory for the model: two containers on the volumes, restart policies, and an application that looks when it starts. */
import type { ContainerInfo, Engine, RestartPolicy } from '../../agent/docker/engine.ts';
import { point } from './points.ts';

type Held = { -readonly [Member in keyof ContainerInfo]: ContainerInfo[Member] };

export interface ModelEngine {
  readonly engine: Engine;
  /** What each container is, for the oracle. */
  readonly describe: () => string[];
  /** The host starts again: what runs and what does not is up to the restart policies. */
  readonly restartHost: () => void;
}

/** @param onStart false when the application ends at once */
export function modelEngine(containers: readonly ContainerInfo[], onStart: () => boolean): ModelEngine {
  const all = containers.map((one): Held => ({ ...one }));
  const find = (id: string): Held | undefined => all.find((one) => one.id === id || one.name === id);
  const set = (one: Held, isUp: boolean): void => {
    const runs = isUp && onStart();
    [one.state, one.active, one.exitCode] = [runs ? 'running' : 'exited', runs, isUp && !runs ? 1 : 0];
  };
  const done = async (name: string, id: string, work: (one: Held) => void): Promise<void> => {
    point(`engine:${name}`);
    const one = find(id);
    if (one !== undefined) work(one);
  };
  const known: Partial<Engine> = {
    list: async () => all.map((one) => ({ ...one })),
    inspect: async (id) => {
      const one = find(id);
      return one === undefined ? null : { ...one };
    },
    activeMounts: async () =>
      all.filter(({ active }) => active).map(({ id, name, labels, mounts }) => ({ id, name, labels, mounts })),
    start: async (id) => {
      const ran = find(id)?.active === true;
      await done('start', id, (one) => (one.active ? undefined : set(one, true)));
      return !ran;
    },
    stop: (id) => done('stop', id, (one) => set(one, false)),
    setRestartPolicy: (id, policy: RestartPolicy) =>
      done('update', id, (one) => {
        one.restartPolicy = policy;
      }),
    rename: (id, name) =>
      done('rename', id, (one) => {
        one.name = name;
      }),
    imageId: async (reference) => reference,
    logs: async () => '',
  };
  const engine = new Proxy(known, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (member === undefined) throw new Error(`the model has no engine.${String(name)}`);
      return member;
    },
  }) as Engine;
  return {
    engine,
    describe: () =>
      all.map(({ name, imageId, state, restartPolicy }) => `${name} ${imageId} ${state} ${restartPolicy.name}`),
    restartHost() {
      for (const one of all) set(one, one.restartPolicy.name === 'always');
    },
  };
}
