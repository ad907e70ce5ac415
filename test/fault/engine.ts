/** The sweep `engine`; `engine-session.ts` has its cases. */
import type { Sweep } from '../crash/sweep.ts';
import { openBundled } from './bundled.ts';

export const engine: Sweep = {
  open: async (slot) => openBundled(slot, 'test/fault/engine-session.ts', 'openEngineSession'),
};
