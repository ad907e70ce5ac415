/** `refloat admin-token`: how the first script of `refloat serve` or of Workers gets in. */
import { Command } from 'commander';
import { type Connection, connect } from '../../db/client.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { issueToken } from '../auth/issue-token.ts';
import { readKeySet } from '../auth/key-set.ts';
import { SCOPES_OF_TOKENS } from '../auth/scopes.ts';
import { readServerConfig } from '../config.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { printJson, runServerCommand } from './server-command.ts';

const ADMIN_TOKEN_TTL_SECONDS = 3600;

export function adminTokenCommand(): Command {
  return new Command('admin-token')
    .description(
      'a token with all rights for an hour, to make lesser ones with; needs REFLOAT_DATABASE_URL and REFLOAT_SIGNING_KEYS',
    )
    .option('--json', 'one JSON object last on standard output')
    .action(async (options: { json?: boolean }) =>
      runServerCommand(options.json === true, async () => {
        const { jwt, row } = await withDatabase(async ({ db }) => {
          const config = readServerConfig(process.env);
          const context = { keys: await readKeySet(config.signingKeys), issuer: config.issuer, now: () => new Date() };
          return db.transaction(async (tx) => {
            const issued = await issueToken(tx, context, {
              subject: 'admin',
              scopes: SCOPES_OF_TOKENS,
              workloads: null,
              createdBy: 'refloat admin-token',
              ttlSeconds: ADMIN_TOKEN_TTL_SECONDS,
            });
            await insertAudit(tx, {
              actor: 'refloat admin-token',
              action: 'adminToken',
              target: `token:${issued.row.jti}`,
              outcome: 'accepted',
            });
            return issued;
          });
        });
        if (options.json === true)
          printJson({ ok: true, token: jwt, jti: row.jti, expiresAt: row.expiresAt.toISOString() });
        else process.stdout.write(`${jwt}\n`);
      }),
    );
}

async function withDatabase<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = connect(requireDatabaseUrl(), { max: 1 });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
