import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { MIGRATIONS } from '../../db/migrate.ts';
import { listMigrations } from '../../db/queries/list-migrations.ts';
import { endpoint } from '../endpoint.ts';

export const readyz = endpoint(
  {
    method: 'get',
    path: '/readyz',
    name: 'readyz',
    summary: 'The database answers and is migrated',
    access: 'public',
    answers: {
      200: { description: 'Ready', schema: z.object({ ok: z.literal(true) }) },
      503: { description: 'Not ready' },
    },
  },
  async ({ c }) => {
    const applied = new Set(await listMigrations(c.get('db')));
    const missing = MIGRATIONS.filter(({ name }) => !applied.has(name));
    if (missing.length > 0) {
      throw new RefloatError('DATABASE_UNAVAILABLE', 'the database is not migrated', {
        hint: 'Run: refloat migrate',
        disposition: 'retry',
      });
    }
    return c.json({ ok: true as const });
  },
);
