/**
 * Register: the snapshot becomes known. Input: the published snapshot. The commit point of a capture: before it a cancel or
 * a crash removes the snapshot, after it the snapshot stays and recovery registers it.
 */
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { publish } from './archive.ts';

export const register: Step<CaptureFacts, 'register'> = {
  name: 'register',

  async act(context) {
    if (!context.committed()) {
      await context.control.confirmCommit();
      context.signal.throwIfAborted();
      context.commit();
    }
    const { path: _path, manifest: _manifest, ...record } = await publish(context, false);
    context.control.emit('snapshot', { ...record });
    return {};
  },
};
