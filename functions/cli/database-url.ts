import { RefloatError } from '../../db/errors.ts';

/** REFLOAT_DATABASE_URL. Throws `CONFIG_INVALID`. */
export function requireDatabaseUrl(): string {
  const url = process.env['REFLOAT_DATABASE_URL'];
  if (url !== undefined && url !== '') return url;
  throw new RefloatError('CONFIG_INVALID', 'REFLOAT_DATABASE_URL is not set', {
    hint: 'Set it to postgres://user:password@host:5432/database; or use refloat up, which brings its own PostgreSQL.',
  });
}
