/** What the entries (node.ts, worker.ts, cli/up.ts) build once and hand to `createApp`. There are no other singletons. */
import type { Context } from 'hono';
import type { Db } from '../db/client.ts';
import type { KeySet } from './auth/key-set.ts';
import type { OidcClient } from './auth/oidc.ts';
import type { Principal } from './auth/principal.ts';
import type { FetchJson } from './outbound.ts';
import type { RateClass, RateLimits } from './rate-limits.ts';

export interface AppDeps {
  readonly database: DatabaseSource;
  readonly keys: KeySet;
  /** `iss` of our tokens; the same for every handler that shares the keys, and across restarts. */
  readonly issuer: string;
  /** Origin at which people reach the console (REFLOAT_PUBLIC_URL); undefined: whatever address they used. */
  readonly publicOrigin: string | undefined;
  /** Database URL that enrolled agents get, with their own login put in; undefined: enrollment is refused. */
  readonly agentDatabaseUrl: string | undefined;
  /** Where people can sign in beside passkeys and links; undefined: nowhere. */
  readonly oidc: OidcClient | undefined;
  /** Reads the keys of trusted issuers. */
  readonly fetchJson: FetchJson;
  readonly now: () => Date;
  readonly rateLimits: RateLimits;
  /** Address of the client, as far as it can be known; see client-address.ts. */
  readonly clientAddress: (context: Context<AppEnv>) => string;
  readonly log: (
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    facts: Readonly<Record<string, unknown>>,
  ) => void;
  /** Keeps the program alive for work that outlasts the answer (on Workers: waitUntil). */
  readonly afterResponse: (context: Context<AppEnv>, work: Promise<unknown>) => void;
  readonly eventStream?: Partial<EventStreamTimes>;
}

/** How an event stream looks at the database, in milliseconds. */
export interface EventStreamTimes {
  /** Between two looks while something happens. */
  readonly pollMs: number;
  /** The most that the pause grows to while nothing does. */
  readonly idlePollMs: number;
  /** After this the stream ends, and the client comes back with `Last-Event-ID`. */
  readonly maxMs: number;
}

/** Node: a pool. Workers: a new client for each request. */
interface DatabaseSource {
  acquire(context: Context<AppEnv>): { readonly db: Db; release(): Promise<void> };
}

export interface AppEnv {
  Bindings: Record<string, unknown>;
  Variables: {
    db: Db;
    requestId: string;
    /** operationId of the route, for the audit. */
    action: string;
    principal: Principal | undefined;
    /** JWT that the answer's session cookie gets; empty: the cookie goes. */
    newSession: string | undefined;
    /** The refusal is in the audit already, by the transaction that decided it. */
    audited: boolean;
    /** Takes a permit of a rate limit; throws `RATE_LIMITED`. */
    limit: (limit: RateClass, whose: string) => Promise<void>;
  };
}

export type AppContext = Context<AppEnv>;
