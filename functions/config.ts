/** The control plane's configuration from its environment; the same names on Node and Workers. */
import { RefloatError } from '../db/errors.ts';
import { type OidcConfig, readOidcConfig } from './auth/oidc-config.ts';
import { ISSUER_ACCESS, type IssuerAccess } from './outbound.ts';
import { type RateLimits, readRateLimits } from './rate-limits.ts';

export interface ServerConfig {
  readonly signingKeys: string;
  /** Undefined: whatever address people use. */
  readonly publicOrigin: string | undefined;
  readonly issuer: string;
  readonly agentDatabaseUrl: string | undefined;
  readonly rateLimits: RateLimits;
  /** Proxies of our own in front, whose X-Forwarded-For is believed. */
  readonly trustedProxies: number;
  readonly oidc: OidcConfig | undefined;
  /** Where trusted issuers may be. */
  readonly issuerAccess: IssuerAccess;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Issuer of our tokens where no public URL is set: it must not change when a port does. */
const LOCAL_ISSUER = 'urn:refloat:local';

/** @param fallback takes the place of REFLOAT_SIGNING_KEYS when that is not set */
export function readServerConfig(env: Environment, fallback?: { readonly signingKeys: string }): ServerConfig {
  const signingKeys = env['REFLOAT_SIGNING_KEYS'] || fallback?.signingKeys;
  if (signingKeys === undefined) {
    throw new RefloatError('CONFIG_INVALID', 'REFLOAT_SIGNING_KEYS is not set', {
      hint: 'Make a key set with: refloat keys generate',
    });
  }
  const publicOrigin = readPublicOrigin(env);
  return {
    signingKeys,
    publicOrigin,
    issuer: publicOrigin ?? LOCAL_ISSUER,
    oidc: readOidcConfig(env),
    agentDatabaseUrl: env['REFLOAT_AGENT_DATABASE_URL'] || env['REFLOAT_DATABASE_URL'] || undefined,
    rateLimits: readRateLimits(env['REFLOAT_RATE_LIMITS']),
    trustedProxies: proxiesOf(env['REFLOAT_TRUSTED_PROXIES']),
    issuerAccess: issuerAccess(env['REFLOAT_ISSUER_ACCESS']),
  };
}

function issuerAccess(text: string | undefined): IssuerAccess {
  const found = ISSUER_ACCESS.find((access) => access === (text || 'public'));
  if (found !== undefined) return found;
  throw new RefloatError('CONFIG_INVALID', `REFLOAT_ISSUER_ACCESS is none of ${ISSUER_ACCESS.join(', ')}`, {
    hint: 'Leave it out unless the issuers that you trust are in a private network.',
  });
}

function proxiesOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (/^\d$/.test(text)) return Number(text);
  throw new RefloatError('CONFIG_INVALID', 'REFLOAT_TRUSTED_PROXIES is not a number from 0 to 9', {
    hint: 'Give the number of proxies of your own in front of this server; 1 behind one load balancer.',
  });
}

/** REFLOAT_PUBLIC_URL. Throws `CONFIG_INVALID`. */
export function readPublicOrigin(env: Environment): string | undefined {
  const url = env['REFLOAT_PUBLIC_URL'];
  if (url === undefined || url === '') return undefined;
  const parsed = URL.parse(url);
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.pathname === '/' && parsed.search === '')
    return parsed.origin;
  throw new RefloatError('CONFIG_INVALID', 'REFLOAT_PUBLIC_URL is not an http or https address without a path', {
    hint: 'For example https://refloat.example.com',
  });
}
