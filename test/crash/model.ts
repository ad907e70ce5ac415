/**
 * model: a state machine drives the product's own saga and recovery on a simulated disk with a write cache. Each trace is a host of
 * some shape and a sequence of: the restore, recovery (each may be killed or meet failing calls), and power cuts that lose any part of
 * the cache. At the end recovery runs without a fault, and the oracle is asked. What was final stays as it was.
 */
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import type { Outcome } from '../../db/results.ts';
import { sharedBundle } from './bundle.ts';
import type * as Model from './model-host.ts';
import { randomOf } from './random.ts';
import type { Slot, Sweep, SweepSession } from './sweep.ts';

const TRACES_PER_CASE = 250;
const STEPS_AT_MOST = 6;
/** Changes of a whole restore, about; later ones are not met. */
const CHANGES = 130;

type Host = Model.ModelHost;
type Fault = Model.ModelFault | null;

interface Known {
  /** Once it is final: outcome and version. */
  final: string | null;
}

abstract class Step implements fc.AsyncCommand<Known, Host> {
  check(): boolean {
    return true;
  }

  async run(known: Known, host: Host): Promise<void> {
    assertFinal(known, host, await this.act(host));
  }

  /** What was said by then; null when nothing was. */
  protected abstract act(host: Host): Promise<Outcome | null>;
}

class Recover extends Step {
  readonly #fault: Fault;

  constructor(fault: Fault) {
    super();
    this.#fault = fault;
  }

  override act(host: Host): Promise<Outcome | null> {
    return host.recover(this.#fault);
  }

  override toString(): string {
    return `recover ${textOf(this.#fault)}`;
  }
}

class LosePower extends Step {
  readonly #seed: number;

  constructor(seed: number) {
    super();
    this.#seed = seed;
  }

  override async act(host: Host): Promise<null> {
    host.losePower(this.#seed);
    return null;
  }

  override toString(): string {
    return `lose power ${this.#seed}`;
  }
}

/** What was said of an intent stays so: by the journal, and by what is live. */
function assertFinal(known: Known, host: Host, said: Outcome | null): void {
  const now = `${host.outcome()?.state} with ${host.version()} live`;
  if (said !== null && said.state !== 'stuck') known.final ??= now;
  if (known.final !== null && now !== known.final) throw new Error(`what was ${known.final} became ${now}`);
}

function textOf(fault: Fault): string {
  if (fault === null) return 'to its end';
  return fault.kind === 'kill' ? `killed at ${fault.n}` : `failing at ${fault.n}, ${fault.many} times`;
}

interface Trace {
  readonly shape: Model.ModelShape;
  /** Of the restore itself. */
  readonly first: Fault;
  readonly commands: Iterable<fc.AsyncCommand<Known, Host>>;
}

function traces(): fc.Arbitrary<Trace> {
  const shape = fc.record({
    volumes: fc.constantFrom(1 as const, 2 as const),
    mountPoint: fc.boolean(),
    canExchange: fc.boolean(),
    unhealthy: fc.boolean(),
  });
  const fault = fc.record({
    n: fc.integer({ min: 1, max: CHANGES }),
    kind: fc.constantFrom('kill' as const, 'error' as const),
    many: fc.constantFrom(1, 2, 4, Number.POSITIVE_INFINITY),
  });
  const recover = fc.option(fault, { freq: 3 }).map((some) => new Recover(some));
  const cut = fc.nat().map((seed) => new LosePower(seed));
  const commands = fc.commands<Known, Host, false>([recover, cut], { maxCommands: STEPS_AT_MOST });
  return fc.record({ shape, first: fc.option(fault, { freq: 10 }), commands });
}

async function play(model: typeof Model, { shape, first, commands }: Trace): Promise<void> {
  const host = new model.ModelHost(shape);
  const known: Known = { final: null };
  assertFinal(known, host, await host.work(first));
  await fc.asyncModelRun(() => ({ model: known, real: host }), commands);
  assertFinal(known, host, await host.recover(null));
  const wrong = host.judge();
  if (wrong.length > 0) throw new Error(wrong.join('; '));
}

export const model: Sweep = {
  async open(slot: Slot): Promise<SweepSession> {
    const program = await sharedBundle(slot.programs, {
      entry: 'test/crash/model-host.ts',
      instead: {
        'node:fs': 'test/crash/sim-fs.ts',
        'agent/fs/native.ts': 'test/crash/sim-fs.ts',
        'agent/fs/root-metadata.ts': 'test/crash/sim-fs.ts',
      },
    });
    const host = (await import(pathToFileURL(program).href)) as typeof Model;
    return {
      cases: async (count) =>
        Array.from({ length: Math.ceil(count / TRACES_PER_CASE) }, (_, index) => `traces/${index}`),
      async run(name) {
        const seed = randomOf(`${slot.seed}/${name}`).below(2 ** 31);
        const property = fc.asyncProperty(traces(), (trace) => play(host, trace));
        const ran = await fc.check(property, { seed, numRuns: TRACES_PER_CASE, interruptAfterTimeLimit: 100_000 });
        if (!ran.failed) return { count: ran.numRuns, violations: [] };
        const [example] = ran.counterexample ?? [];
        const { shape, first = null, commands = [] } = example ?? {};
        const told = [`restore ${textOf(first)}`, ...[...commands].map(String)].join('; ');
        return { count: ran.numRuns, violations: [`${JSON.stringify(shape)}: ${told}: ${String(ran.errorInstance)}`] };
      },
      close: async () => undefined,
    };
  },
};
