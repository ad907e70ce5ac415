import { eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { hosts } from '../schema/hosts.ts';

/** Connections that one host may hold, so that a stolen credential cannot use up the server's. */
const CONNECTIONS_PER_HOST = 20;

/**
 * Makes the host's own Postgres login, or gives it a new password, and returns its name. From now on any machine may take the host.
 * @param verifier SCRAM-SHA-256 verifier of the password; the password itself never is in a statement
 */
export async function enrollHost(db: Queryable, hostId: string, verifier: string): Promise<string> {
  const role = hostRole(hostId);
  if (!/^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$/.test(verifier))
    throw new Error('not a SCRAM verifier');
  const there = await db.execute(sql`select from pg_roles where rolname = ${role}`);
  if (there.length === 0) await db.execute(sql.raw(`create role ${role}`));
  // Statements of this kind take no parameters; both texts were checked letter by letter.
  await db.execute(sql.raw(`alter role ${role} login password '${verifier}' connection limit ${CONNECTIONS_PER_HOST}`));
  await db.execute(sql.raw(`grant refloat_agent to ${role}`));
  // Whoever may not end the sessions of a role cannot cut off a stolen credential. Superusers may anyway.
  const [me] = await db.execute<{ may: boolean }>(sql`select pg_has_role(current_user, ${role}, 'usage') as may`);
  if (me?.may !== true) await db.execute(sql.raw(`grant ${role} to current_user`));
  // Whoever held the host until now does so no longer: a person has decided which machine it is.
  await db.update(hosts).set({ pgRole: role, agentInstance: null, agentBootId: null }).where(eq(hosts.id, hostId));
  return role;
}

/** Name of a host's login. */
function hostRole(hostId: string): string {
  const hex = hostId.toLowerCase().replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new Error('not a host id');
  return `refloat_host_${hex}`;
}
