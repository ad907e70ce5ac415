/** What stands in the place of everything when nobody is signed in: every way in that this server has. */
import type { Dictionary } from '../i18n/en.ts';
import { request } from './api.ts';
import { el, show } from './dom.ts';
import { supportsPasskeys, usePasskey } from './passkeys.ts';
import { Problem, problemBox, toProblem } from './problem.ts';

interface Ways {
  readonly passkeys: boolean;
  readonly oidc: string | null;
}

/** @param reason why, if it was otherwise a moment ago */
export function signInCard(t: Dictionary, reason: string | undefined): HTMLElement {
  const words = t.who;
  const logo = document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href;
  const errors = el('div', { class: 'sign-in-errors' });
  const buttons = el('div', { class: 'sign-in-ways' });
  const attempt = async (button: HTMLButtonElement, work: () => Promise<void>) => {
    button.disabled = true;
    show(errors);
    try {
      await work();
    } catch (thrown) {
      show(errors, problemBox(t, toProblem(thrown)));
      button.disabled = false;
      button.focus();
    }
  };
  const way = (text: string, kind: string, work: () => Promise<void>) => {
    const button = el(
      'button',
      { type: 'button', class: `button ${kind}`, click: () => void attempt(button, work) },
      text,
    );
    return button;
  };
  const offer = ({ passkeys, oidc }: Ways) => {
    const enter = async () => {
      await usePasskey('/api/session/passkey');
      location.reload();
    };
    const leave = async () => {
      const returnTo = `${location.pathname}${location.hash}`;
      location.assign((await request<{ url: string }>('POST', '/api/session/oidc', {}, { returnTo })).url);
    };
    show(
      buttons,
      passkeys && supportsPasskeys() && way(words.withPasskey, 'primary', enter),
      oidc !== null && way(words.atIssuer(oidc), passkeys ? '' : 'primary', leave),
      !passkeys && el('p', { class: 'muted' }, words.noPasskeysHere),
    );
  };
  const problem = cameBackWith();
  if (problem !== undefined) show(errors, problemBox(t, problem));
  void request<Ways>('GET', '/api/session/ways').then(offer, () => undefined);
  return el(
    'section',
    { class: 'sign-in card' },
    el('img', { src: logo, alt: '', width: 56, height: 56 }),
    el('h1', {}, words.signInTitle),
    reason !== undefined && el('p', { class: 'warn' }, reason),
    errors,
    buttons,
    el('h2', {}, words.byLink),
    el('p', { class: 'muted' }, words.byLinkText),
    el('pre', {}, el('code', {}, 'refloat admin invite')),
  );
}

/** Why the way over the issuer led to nothing, from the address; said once. */
export function cameBackWith(): Problem | undefined {
  const code = new URLSearchParams(location.search).get('problem');
  if (code === null || !/^[A-Z_]{1,40}$/.test(code)) return undefined;
  history.replaceState(null, '', location.pathname + location.hash);
  return new Problem(code, 0, '', '');
}
