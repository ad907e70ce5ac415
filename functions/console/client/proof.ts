/**
 * The fresh proof that restores, undos, deletions and changes of rights ask people for.
 *
 * Guarantees: what was refused for want of a proof is asked again once, after the proof, and nothing else is.
 */
import type { Dictionary } from '../i18n/en.ts';
import { request } from './api.ts';
import { el } from './dom.ts';
import type { Session } from './model.ts';
import { usePasskey } from './passkeys.ts';
import { toProblem } from './problem.ts';

/** @param proving says that the person is asked now */
export async function withProof<T>(
  session: Session,
  ask: () => Promise<T>,
  proving: () => void = () => undefined,
): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    // Whoever signs in at an issuer has to leave the page: `proofButton` offers it.
    if (toProblem(thrown).code !== 'FRESH_PROOF_REQUIRED' || session.person?.managedBy !== 'admin') throw thrown;
  }
  proving();
  await usePasskey('/api/session/proof');
  return ask();
}

/** To the issuer and back to this page; undefined where another problem is shown. */
export function proofButton(t: Dictionary, code: string): HTMLElement | undefined {
  if (code !== 'FRESH_PROOF_REQUIRED') return undefined;
  const leave = async (): Promise<void> => {
    const returnTo = `${location.pathname}${location.hash}`;
    location.assign((await request<{ url: string }>('POST', '/api/session/proof/oidc', {}, { returnTo })).url);
  };
  return el('button', { type: 'button', class: 'button small', click: () => void leave() }, t.who.goToIssuer);
}
