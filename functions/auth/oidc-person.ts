/** Whom the claims of an issuer mean, and with which role: made at their first sign-in, brought up to date at each. */
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { findOidcPerson } from '../../db/queries/find-oidc-person.ts';
import { insertPerson, type PersonRow } from '../../db/queries/insert-person.ts';
import { revokeSessionsOf } from '../../db/queries/revoke-sessions-of.ts';
import { updatePerson } from '../../db/queries/update-person.ts';
import { upsertOidcIdentity } from '../../db/queries/upsert-oidc-identity.ts';
import type { Claims } from './oidc.ts';
import { type Grant, grantOf, type RoleRule } from './oidc-config.ts';

const NAME_CHARS = 60;

/** A refusal to return: that a role was taken away ends the person's sessions also when they may not sign in. */
export async function oidcPerson(
  db: Queryable,
  rules: readonly RoleRule[],
  claims: Claims,
): Promise<PersonRow | RefloatError> {
  const { iss: issuer, sub: subject } = claims;
  const known = await findOidcPerson(db, issuer, subject);
  const grant = grantOf(rules, claims);
  if (grant === undefined) {
    if (known !== null) await revokeSessionsOf(db, known.id);
    return new RefloatError('NO_ROLE', 'your account has no role here', {
      hint: 'Ask an admin: a rule of REFLOAT_OIDC_ROLES must match the claims of your account.',
    });
  }
  if (known !== null && known.disabledAt !== null)
    return new RefloatError('NO_ROLE', 'you were disabled here', { hint: 'Ask an admin.' });
  const person =
    known === null
      ? await insertNamed(db, claims, grant)
      : await updatePerson(db, known.id, { ...grant, disabled: false });
  if (person === null) throw new Error('a person vanished between two statements');
  await upsertOidcIdentity(db, { issuer, subject, personId: person.id });
  return person;
}

/** Under the name that they have at the issuer, or close to it: names are unique here. */
async function insertNamed(db: Queryable, claims: Claims, { role, projects }: Grant): Promise<PersonRow | null> {
  const id = newId();
  const wanted = [claims['preferred_username'], claims['email'], claims['name'], claims.sub].find(
    (each) => typeof each === 'string' && printable(each) !== '',
  );
  const name = printable(String(wanted)) || 'person';
  for (const candidate of [name, `${name} (${new URL(claims.iss).hostname.slice(0, 30)})`, `${name} ${id.slice(-8)}`]) {
    const facts = { name: candidate, role, projects: projects === null ? null : [...projects] };
    const person = await insertPerson(db, { id, ...facts, managedBy: 'oidc', createdBy: claims.iss.slice(0, 200) });
    if (person !== null) return person;
  }
  return null;
}

function printable(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .trim()
    .slice(0, NAME_CHARS);
}
