/** Secrets that work once; the database has only their SHA-256. */
import type { Queryable } from '../../db/client.ts';
import { insertOneTimeLink } from '../../db/queries/insert-one-time-link.ts';
import { randomSecret, sha256Hex } from './secrets.ts';

export const SIGN_IN_TTL_SECONDS = 3600;
export const ENROLLMENT_TTL_SECONDS = 15 * 60;

export interface OneTimeLink {
  readonly secret: string;
  readonly expiresAt: Date;
}

export async function createOneTimeLink(
  db: Queryable,
  what: {
    readonly purpose: 'sign-in' | 'enrollment';
    readonly subject: string;
    readonly hostId?: string;
    readonly personId?: string;
  },
  ttlSeconds: number,
  now: Date,
): Promise<OneTimeLink> {
  const secret = randomSecret();
  const expiresAt = new Date(now.getTime() + ttlSeconds * 1000);
  await insertOneTimeLink(db, { hash: await sha256Hex(secret), ...what, expiresAt });
  return { secret, expiresAt };
}

/** Where a person signs in. The secret is in the fragment, which browsers send to nobody, so it is in no log. */
export function signInUrl(origin: string, link: OneTimeLink): string {
  return `${origin}/sign-in#${link.secret}`;
}
