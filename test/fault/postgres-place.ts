/** A migrated Postgres of a sweep's own, which can be restarted, and hosts' logins to it. */
import { endWithin } from '../../agent/claim/agent-database.ts';
import { type Connection, connect } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import { startEmbeddedPostgres } from '../../functions/cli/embedded-postgres.ts';

export interface PostgresPlace {
  readonly hostname: string;
  readonly port: number;
  /** The superuser's connections; they come back by themselves. */
  readonly admin: Connection;
  urlAs(user: string, password: string): string;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startPostgresPlace(directory: string): Promise<PostgresPlace> {
  let server = await startEmbeddedPostgres({ directory, volatile: true });
  const { url } = server;
  await migrate(url);
  const admin = connect(url, { max: 3, applicationName: 'refloat-test' });
  const { hostname, port } = new URL(url);
  return {
    hostname,
    port: Number(port),
    admin,
    urlAs(user, password) {
      const as = new URL(url);
      [as.username, as.password] = [user, password];
      return as.href;
    },
    async restart() {
      await server.stop();
      server = await startEmbeddedPostgres({ directory, volatile: true });
    },
    async close() {
      await endWithin(admin.sql, 1000);
      await server.stop();
    },
  };
}
