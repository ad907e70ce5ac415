/**
 * postgres.js 3.4.9 writes to a connection that was closed a moment ago, in a callback that nobody can catch: the whole process ends
 * (github.com/porsager/postgres, issues 1154 and 1208). Bundles get a guard: the query fails with CONNECTION_CLOSED instead.
 */
import { readFileSync } from 'node:fs';

const UNGUARDED = 'const x = socket.write(chunk, fn)';
const GUARD = `if (socket === null) {
      chunk = nextWriteTimer = null
      error(Errors.connection('CONNECTION_CLOSED', options, socket))
      return false
    }
    `;

/** An esbuild plugin. The build fails when a new release has other text there: then see whether it still needs this. */
export function guardPostgres() {
  return {
    name: 'guard-postgres',
    setup(builder) {
      builder.onLoad({ filter: /[\\/]postgres[\\/]src[\\/]connection\.js$/ }, ({ path }) => {
        const parts = readFileSync(path, 'utf8').split(UNGUARDED);
        if (parts.length !== 2) throw new Error(`${path} does not have the write that is to be guarded once`);
        return { contents: parts.join(GUARD + UNGUARDED), loader: 'js' };
      });
    },
  };
}
