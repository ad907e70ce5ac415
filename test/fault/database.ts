/** The sweep `database`: a server of its own behind a relay; `database-session.ts` has the cases. */
import { join } from 'node:path';
import type { Sweep } from '../crash/sweep.ts';
import { openBundled } from './bundled.ts';
import { startDatabaseRelay } from './database-relay.ts';
import { startPostgresPlace } from './postgres-place.ts';

export const database: Sweep = {
  async open(slot) {
    const postgres = await startPostgresPlace(join(slot.directory, 'postgres'));
    const relay = await startDatabaseRelay(postgres);
    const session = await openBundled(slot, 'test/fault/database-session.ts', 'openDatabaseSession', {
      postgres,
      relay,
    });
    return {
      cases: (count, random) => session.cases(count, random),
      run: (name) => session.run(name),
      async close() {
        await session.close();
        await relay.close();
        await postgres.close();
      },
    };
  },
};
