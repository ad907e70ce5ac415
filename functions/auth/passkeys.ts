/**
 * Passkeys (WebAuthn), for signing in and as a fresh proof.
 *
 * Guarantees: an answer counts once, for the purpose and the session that its challenge was made for, from our own origin,
 * with the person verified by the authenticator; a signature counter that goes back is refused, since that is a copy.
 */
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { base64url } from 'jose';
import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findPasskeyForUse } from '../../db/queries/find-passkey.ts';
import type { PasskeyRow } from '../../db/queries/insert-passkey.ts';
import { touchPasskey } from '../../db/queries/touch-passkey.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { keepChallenge, takeChallenge } from './challenge.ts';
import { ownOrigin } from './origin.ts';
import type { Person } from './principal.ts';

const RP_NAME = 'Refloat';
/** EdDSA, ES256, RS256 (COSE). */
const ALGORITHMS = [-8, -7, -257];
const TIMEOUT_MS = 120_000;

const BASE64URL = z
  .string()
  .regex(/^[\w-]*$/, 'must be base64url')
  .max(20_000);
const CREDENTIAL = {
  id: BASE64URL,
  rawId: BASE64URL,
  type: z.literal('public-key'),
  clientExtensionResults: z.looseObject({}).default({}),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
};

/** `AuthenticationResponseJSON` of WebAuthn, as `startAuthentication` gives it. */
export const ASSERTION = z.object({
  ...CREDENTIAL,
  response: z.object({
    clientDataJSON: BASE64URL,
    authenticatorData: BASE64URL,
    signature: BASE64URL,
    userHandle: BASE64URL.nullish(),
  }),
});

/** `RegistrationResponseJSON` of WebAuthn, as `startRegistration` gives it. */
export const ATTESTATION = z.object({
  ...CREDENTIAL,
  response: z.object({
    clientDataJSON: BASE64URL,
    attestationObject: BASE64URL,
    transports: z.array(z.string().max(32)).max(10).optional(),
  }),
});

/** What the browser's WebAuthn calls take; their form is the library's. */
export const OPTIONS = z.looseObject({ challenge: z.string() });

/** Where passkeys belong to. Undefined for an address without a name: WebAuthn knows domains only. */
export function relyingParty(c: AppContext, deps: AppDeps): { id: string; origin: string } | undefined {
  const origin = ownOrigin(c, deps);
  const { hostname } = new URL(origin);
  return /^[\d.]+$|^\[/.test(hostname) ? undefined : { id: hostname, origin };
}

function requireRelyingParty(c: AppContext, deps: AppDeps): { id: string; origin: string } {
  const party = relyingParty(c, deps);
  if (party !== undefined) return party;
  throw new RefloatError('PASSKEYS_UNAVAILABLE', 'browsers have passkeys for names only, not for an IP address', {
    hint: 'Open the console by name: http://localhost on this machine, or the address of REFLOAT_PUBLIC_URL.',
  });
}

/** @param person whose passkeys may answer; null: any, and the answer says whose it is */
export async function passkeyOptions(
  c: AppContext,
  deps: AppDeps,
  person: { readonly sessionId: string; readonly passkeys: readonly PasskeyRow[] } | null,
): Promise<z.output<typeof OPTIONS>> {
  const options = await generateAuthenticationOptions({
    rpID: requireRelyingParty(c, deps).id,
    userVerification: 'required',
    timeout: TIMEOUT_MS,
    ...(person === null ? {} : { allowCredentials: person.passkeys.map(({ id, transports }) => ({ id, transports })) }),
  });
  await keepChallenge(
    c.get('db'),
    person === null ? 'passkey-sign-in' : 'passkey-proof',
    options.challenge,
    person?.sessionId ?? null,
  );
  return { ...options };
}

export async function registrationOptions(
  c: AppContext,
  deps: AppDeps,
  person: Person,
  known: readonly PasskeyRow[],
): Promise<z.output<typeof OPTIONS>> {
  const options = await generateRegistrationOptions({
    rpName: RP_NAME,
    rpID: requireRelyingParty(c, deps).id,
    userName: person.subject,
    userDisplayName: person.subject,
    userID: new TextEncoder().encode(person.personId),
    attestationType: 'none',
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    excludeCredentials: known.map(({ id, transports }) => ({ id, transports })),
    supportedAlgorithmIDs: ALGORITHMS,
    timeout: TIMEOUT_MS,
  });
  await keepChallenge(c.get('db'), 'passkey-register', options.challenge, person.sessionId);
  return { ...options };
}

/** The passkey that answered, with its new counter kept. A refusal is returned: its challenge is used up all the same. */
export async function verifyPasskey(
  c: AppContext,
  deps: AppDeps,
  db: Queryable,
  answer: z.output<typeof ASSERTION>,
  sessionId: string | null,
): Promise<PasskeyRow | RefloatError> {
  const { id, origin } = requireRelyingParty(c, deps);
  const challenge = challengeOf(answer.response.clientDataJSON);
  const taken = await takeChallenge(
    db,
    [sessionId === null ? 'passkey-sign-in' : 'passkey-proof'],
    challenge,
    sessionId,
  );
  if (taken instanceof RefloatError) return taken;
  const passkey = await findPasskeyForUse(db, answer.id);
  if (passkey === null) return invalid('this passkey is not known here');
  const { userHandle } = answer.response;
  if (userHandle && textOf(userHandle) !== passkey.personId) return invalid('this passkey is another person’s');
  const verified = await verifyAuthenticationResponse({
    response: answer as AuthenticationResponseJSON,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: id,
    requireUserVerification: true,
    credential: {
      id: passkey.id,
      publicKey: new Uint8Array(base64url.decode(passkey.publicKey)),
      counter: passkey.counter,
    },
  }).catch(() => undefined);
  if (verified?.verified !== true) return invalid('the answer of the passkey is not valid');
  const { newCounter, credentialBackedUp } = verified.authenticationInfo;
  await touchPasskey(db, passkey.id, { counter: newCounter, backedUp: credentialBackedUp });
  return passkey;
}

/** What is kept of a new passkey. A refusal is returned. */
export async function verifyRegistration(
  c: AppContext,
  deps: AppDeps,
  db: Queryable,
  answer: z.output<typeof ATTESTATION>,
  sessionId: string,
): Promise<Pick<PasskeyRow, 'id' | 'publicKey' | 'counter' | 'transports' | 'backedUp'> | RefloatError> {
  const { id, origin } = requireRelyingParty(c, deps);
  const challenge = challengeOf(answer.response.clientDataJSON);
  const taken = await takeChallenge(db, ['passkey-register'], challenge, sessionId);
  if (taken instanceof RefloatError) return taken;
  const verified = await verifyRegistrationResponse({
    response: answer as RegistrationResponseJSON,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: id,
    requireUserVerification: true,
    supportedAlgorithmIDs: ALGORITHMS,
  }).catch(() => undefined);
  if (verified?.verified !== true) return invalid('the answer of the passkey is not valid');
  const { credential, credentialBackedUp } = verified.registrationInfo;
  return {
    id: credential.id,
    publicKey: base64url.encode(credential.publicKey),
    counter: credential.counter,
    transports: answer.response.transports ?? [],
    backedUp: credentialBackedUp,
  };
}

function invalid(why: string): RefloatError {
  return new RefloatError('PASSKEY_INVALID', why, {
    hint: 'Try again, use another passkey, or open a new sign-in link: refloat admin invite, on the server.',
  });
}

/** What the browser says that it answered; compared with the signature's later on. Empty if it says nothing readable. */
function challengeOf(clientDataJson: string): string {
  try {
    const { challenge } = JSON.parse(textOf(clientDataJson)) as { challenge?: unknown };
    return typeof challenge === 'string' ? challenge : '';
  } catch {
    return '';
  }
}

/** Empty if it is no base64url. */
function textOf(text: string): string {
  try {
    return new TextDecoder().decode(base64url.decode(text));
  } catch {
    return '';
  }
}
