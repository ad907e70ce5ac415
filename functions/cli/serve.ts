/** `refloat serve`: API and console alone, on a database that `refloat migrate` has prepared. */
import { Command } from 'commander';
import { connect } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { missingMigrations } from '../../db/migrate.ts';
import { readServerConfig } from '../config.ts';
import { startNodeServer } from '../node.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { makeLog } from './log.ts';
import { hostOption, parsePort, portOption } from './options.ts';
import { printJson, runServerCommand } from './server-command.ts';
import { untilStopped } from './until-stopped.ts';

interface ServeOptions {
  readonly port?: string;
  readonly host: string;
  readonly json?: boolean;
}

export function serveCommand(): Command {
  return new Command('serve')
    .description('API and console alone, on REFLOAT_DATABASE_URL')
    .addOption(portOption())
    .addOption(hostOption())
    .option('--json', 'one line of JSON when ready')
    .action(async (options: ServeOptions) => runServerCommand(options.json === true, () => serve(options)));
}

async function serve(options: ServeOptions): Promise<void> {
  const stopped = untilStopped();
  try {
    const databaseUrl = requireDatabaseUrl();
    const config = readServerConfig(process.env);
    await requireMigrated(databaseUrl);
    const server = await startNodeServer({
      config,
      databaseUrl,
      port: parsePort(options.port),
      hostname: options.host,
      log: makeLog(),
    });
    const url = config.publicOrigin ?? `http://${options.host}:${server.port}`;
    if (options.json === true) printJson({ url });
    else process.stdout.write(`Refloat serves at ${url}. Stop with Ctrl-C.\n`);
    await stopped.signal;
    await server.close();
  } finally {
    stopped.off();
  }
}

async function requireMigrated(databaseUrl: string): Promise<void> {
  const connection = connect(databaseUrl, { max: 1 });
  try {
    const missing = await missingMigrations(connection.sql);
    if (missing.length === 0) return;
    throw new RefloatError('CONFIG_INVALID', `the database lacks ${missing.join(', ')}`, {
      hint: 'Run: refloat migrate',
    });
  } finally {
    await connection.close();
  }
}
