import { onStopSignals } from '../../db/stop-signals.ts';

/** Waits for SIGTERM or SIGINT, from the moment of the call on, so that none is lost while things start. */
export interface Stopped {
  readonly signal: Promise<NodeJS.Signals>;
  /** What a second signal does. */
  again(hurry: () => void): void;
  off(): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export function untilStopped(): Stopped {
  let first = true;
  let hurry = (): void => undefined;
  let resolve: (signal: NodeJS.Signals) => void = () => undefined;
  const signal = new Promise<NodeJS.Signals>((settle) => {
    resolve = settle;
  });
  const heard = (name: NodeJS.Signals): void => {
    if (!first) hurry();
    first = false;
    resolve(name);
  };
  const off = onStopSignals(SIGNALS, heard);
  return {
    signal,
    again: (action) => {
      hurry = action;
    },
    off,
  };
}
