/** `refloat admin invite`: how the first admin of `refloat serve` or of Workers gets in, and whoever has lost their way in. */
import path from 'node:path';
import { Command, Option } from 'commander';
import { connect } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findPersonByName } from '../../db/queries/find-person-by-name.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import type { PersonRow } from '../../db/queries/insert-person.ts';
import { ROLES, type Role } from '../../db/roles.ts';
import { createSignInLink, invite } from '../auth/invite.ts';
import { signInUrl } from '../auth/one-time.ts';
import { readPublicOrigin } from '../config.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { savedDatabaseUrl } from './embedded-postgres.ts';
import { printJson, runServerCommand } from './server-command.ts';
import { defaultStateDir, whereUpIs } from './state-dir.ts';

const ACTOR = 'refloat admin invite';

interface InviteOptions {
  readonly name: string;
  readonly role?: Role;
  readonly project?: readonly string[];
  readonly stateDir?: string;
  readonly json?: boolean;
}

export function adminCommand(): Command {
  return new Command('admin').description('people who may sign in').addCommand(
    new Command('invite')
      .description('a one-time sign-in link, for an hour: for a new person, or for one who has lost their passkey')
      .option('--name <name>', 'whom it is for', 'admin')
      .addOption(new Option('--role <role>', 'of a new person (admin unless told)').choices(ROLES))
      .option('--project <project...>', 'limits a new person to these projects')
      .option('--state-dir <dir>', 'of a running refloat up, where REFLOAT_DATABASE_URL is not set')
      .option('--json', 'one JSON object last on standard output')
      .action(async (options: InviteOptions) => runServerCommand(options.json === true, () => run(options))),
  );
}

async function run(options: InviteOptions): Promise<void> {
  const { databaseUrl, origin } = await whereTo(options.stateDir);
  const connection = connect(databaseUrl, { max: 1 });
  const { person, link } = await connection.db
    .transaction(async (tx) => {
      const known = await findPersonByName(tx, options.name);
      if (known !== null) requireSame(known, options);
      const person = await invite(tx, {
        name: options.name,
        role: options.role ?? 'admin',
        projects: options.project ?? null,
        createdBy: ACTOR,
      });
      const link = await createSignInLink(tx, person, new Date());
      await insertAudit(tx, {
        actor: ACTOR,
        action: 'adminInvite',
        target: `person:${person.id}`,
        outcome: 'accepted',
        details: { name: person.name, role: person.role, projects: person.projects },
      });
      return { person, link };
    })
    .finally(() => connection.close());
  const signInLink = signInUrl(origin, link);
  const { name, role, projects } = person;
  if (options.json === true)
    printJson({ ok: true, name, role, projects, signInLink, expiresAt: link.expiresAt.toISOString() });
  else process.stdout.write(`${signInLink}\n`);
}

/** A role that is not the one that the person has must not be taken for done. */
function requireSame(person: PersonRow, { role, project }: InviteOptions): void {
  if (person.managedBy === 'oidc' || person.disabledAt !== null) {
    throw new RefloatError('USAGE', `"${person.name}" cannot sign in with a link`, {
      hint: person.managedBy === 'oidc' ? 'They sign in at their issuer.' : 'An admin must enable them first.',
    });
  }
  const differs =
    (role !== undefined && role !== person.role) ||
    (project !== undefined && [...project].sort().join('\n') !== [...(person.projects ?? [])].sort().join('\n'));
  if (!differs) return;
  throw new RefloatError('USAGE', `there is a person "${person.name}" already, as ${person.role}`, {
    hint: 'Leave --role and --project out for a link of theirs, or change them in the console.',
  });
}

/** The database and the console's address: from the environment, or of the `refloat up` that runs on this machine. */
async function whereTo(stateDir: string | undefined): Promise<{ databaseUrl: string; origin: string }> {
  const directory = path.resolve(stateDir ?? defaultStateDir(process.env));
  const up = await whereUpIs(directory);
  const saved = up === undefined ? undefined : savedDatabaseUrl(path.join(directory, 'postgres'));
  const given = process.env['REFLOAT_DATABASE_URL'];
  const databaseUrl = given !== undefined && given !== '' ? given : (saved ?? requireDatabaseUrl());
  const origin = readPublicOrigin(process.env) ?? up;
  if (origin !== undefined) return { databaseUrl, origin };
  throw new RefloatError('CONFIG_INVALID', 'REFLOAT_PUBLIC_URL is not set', {
    hint: 'Set it to the address of the console; or give the --state-dir of the refloat up that runs here.',
  });
}
