/** What the browser does with passkeys. Leaving its dialog, or having no passkey to show, is the problem `PASSKEY_CANCELLED`. */
import {
  browserSupportsWebAuthn,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  startAuthentication,
  startRegistration,
} from '@simplewebauthn/browser';
import { request } from './api.ts';
import { Problem } from './problem.ts';

export function supportsPasskeys(): boolean {
  return browserSupportsWebAuthn();
}

/** @param path of the API: a challenge is at `path/challenge`, and the answer goes to `path` */
export async function usePasskey<T>(path: string): Promise<T> {
  const optionsJSON = await request<PublicKeyCredentialRequestOptionsJSON>('POST', `${path}/challenge`);
  const answer = await byHand(() => startAuthentication({ optionsJSON }));
  return request<T>('POST', path, {}, answer);
}

export async function addPasskey(name: string): Promise<void> {
  const optionsJSON = await request<PublicKeyCredentialCreationOptionsJSON>('POST', '/api/passkeys/challenge');
  const credential = await byHand(() => startRegistration({ optionsJSON }));
  await request('POST', '/api/passkeys', {}, { name, credential });
}

async function byHand<T>(ceremony: () => Promise<T>): Promise<T> {
  try {
    return await ceremony();
  } catch (thrown) {
    throw new Problem('PASSKEY_CANCELLED', 0, thrown instanceof Error ? thrown.message : '', '');
  }
}
