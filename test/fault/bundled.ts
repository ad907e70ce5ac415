/** Sessions of sweeps whose archive children start quickly: bundled, with the product's own pauses and times. */
import { sharedBundle } from '../crash/bundle.ts';
import type { Slot, SweepSession } from '../crash/sweep.ts';

/** @param name the function that `entry` exports: it opens a session in a slot, with whatever lives outside of the bundle */
export async function openBundled(
  slot: Slot,
  entry: string,
  name: string,
  ...outside: readonly unknown[]
): Promise<SweepSession> {
  const program = await sharedBundle(slot.programs, { entry, ownPauses: true });
  const module = (await import(program)) as Readonly<
    Record<string, (slot: Slot, ...outside: readonly unknown[]) => Promise<SweepSession>>
  >;
  const open = module[name];
  if (open === undefined) throw new Error(`${entry} exports no ${name}`);
  return open(slot, ...outside);
}
