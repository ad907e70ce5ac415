/** Who is signed in, and the ways from page to page. */
import { el } from './dom.ts';
import { may, type PageContext } from './model.ts';

export function topBar({ t, session }: PageContext, signOut: () => void): HTMLElement[] {
  const link = (href: string, text: string) =>
    el('a', { href, 'aria-current': location.pathname === href ? 'page' : undefined }, text);
  return [
    el(
      'nav',
      { class: 'pages-nav', 'aria-label': t.title },
      link('/', t.who.backToWorkloads),
      may({ session }, 'people:write') && session.projects === null && link('/people', t.who.people),
      link('/account', t.who.account),
    ),
    el('span', { class: 'muted account-name' }, t.signedInAs(session.subject)),
    el('button', { type: 'button', class: 'button small', click: signOut }, t.signOut),
  ];
}
