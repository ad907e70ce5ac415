/** REFLOAT_OIDC_*: the issuer at which people sign in, and which of their claims means which role. */
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { ROLES, type Role } from '../../db/roles.ts';

export interface OidcConfig {
  readonly issuer: URL;
  readonly clientId: string;
  /** Undefined: a public client, which PKCE alone protects. */
  readonly clientSecret: string | undefined;
  readonly scope: string;
  readonly rules: readonly RoleRule[];
}

/** `claim` has this value, or is a list that has it. */
export interface RoleRule {
  /** A claim of the ID token, or a path into one: `realm_access.roles`. */
  readonly claim: string;
  readonly value: string | number | boolean;
  readonly role: Role;
  /** Names of projects that the role is limited to. */
  readonly projects?: readonly string[] | undefined;
}

export interface Grant {
  readonly role: Role;
  readonly projects: readonly string[] | null;
}

const RULES = z
  .array(
    z.strictObject({
      claim: z.string().min(1),
      value: z.union([z.string(), z.number(), z.boolean()]),
      role: z.enum(ROLES),
      projects: z.array(z.string().min(1).max(100)).min(1).max(100).optional(),
    }),
  )
  .max(100);

const DEFAULT_SCOPE = 'openid profile email';

/** Undefined where no issuer is set. Throws `CONFIG_INVALID`. */
export function readOidcConfig(env: Readonly<Record<string, string | undefined>>): OidcConfig | undefined {
  const text = env['REFLOAT_OIDC_ISSUER'];
  if (text === undefined || text === '') return undefined;
  const issuer = URL.parse(text);
  if (issuer === null || !(issuer.protocol === 'https:' || isLoopback(issuer))) {
    throw invalid('REFLOAT_OIDC_ISSUER is not an https address', 'Give the issuer as its tokens have it in "iss".');
  }
  const clientId = env['REFLOAT_OIDC_CLIENT_ID'];
  if (clientId === undefined || clientId === '')
    throw invalid('REFLOAT_OIDC_CLIENT_ID is not set', 'Register a client at the issuer and set its id.');
  return {
    issuer,
    clientId,
    clientSecret: env['REFLOAT_OIDC_CLIENT_SECRET'] || undefined,
    scope: env['REFLOAT_OIDC_SCOPE'] || DEFAULT_SCOPE,
    rules: readRules(env['REFLOAT_OIDC_ROLES']),
  };
}

/** The first rule that matches decides; undefined: no rule does, and so there is no role. */
export function grantOf(rules: readonly RoleRule[], claims: Readonly<Record<string, unknown>>): Grant | undefined {
  const rule = rules.find((each) => matches(each, claims));
  return rule === undefined ? undefined : { role: rule.role, projects: rule.projects ?? null };
}

function matches({ claim, value }: RoleRule, claims: Readonly<Record<string, unknown>>): boolean {
  // An address that the issuer has not checked is whatever the person typed in.
  if (claim === 'email' && claims['email_verified'] !== true) return false;
  const found = Object.hasOwn(claims, claim) ? claims[claim] : atPath(claims, claim.split('.'));
  return Array.isArray(found) ? found.includes(value) : found === value;
}

function atPath(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const name of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function readRules(text: string | undefined): readonly RoleRule[] {
  if (text === undefined || text === '') return [];
  try {
    return RULES.parse(JSON.parse(text));
  } catch {
    throw invalid(
      'REFLOAT_OIDC_ROLES cannot be read',
      'Give a JSON list, for example [{"claim":"groups","value":"ops","role":"operator","projects":["shop"]}].',
    );
  }
}

export function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && (hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.'));
}

function invalid(message: string, hint: string): RefloatError {
  return new RefloatError('CONFIG_INVALID', message, { hint });
}
