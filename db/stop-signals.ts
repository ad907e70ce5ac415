/** Signals that ask a program to stop, each counted once. */

/**
 * A terminal sends a signal to the whole group of a program that Node 20 started on another Node, and the one passes it on to the
 * other (`pinned-node.ts`): the same one again within this time is the same one.
 */
const ECHO_MS = 300;

/** Calls `heard` for each signal of these. @returns takes it back */
export function onStopSignals(names: readonly NodeJS.Signals[], heard: (name: NodeJS.Signals) => void): () => void {
  const last = new Map<NodeJS.Signals, number>();
  const listener = (name: NodeJS.Signals): void => {
    const now = performance.now();
    const before = last.get(name);
    last.set(name, now);
    if (before === undefined || now - before > ECHO_MS) heard(name);
  };
  for (const name of names) process.on(name, listener);
  return () => {
    for (const name of names) process.off(name, listener);
  };
}
