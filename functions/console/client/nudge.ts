/** Who came by link and has no passkey is told while the link still counts as a proof, not when a restore is refused. */
import { openAddPasskey } from './account-page.ts';
import { request } from './api.ts';
import { el, show } from './dom.ts';
import type { PageContext } from './model.ts';
import { supportsPasskeys } from './passkeys.ts';

export async function nudge(page: PageContext): Promise<void> {
  const { t, session } = page;
  const place = document.getElementById('nudge');
  if (place === null || session.person?.proof.kind !== 'link' || !supportsPasskeys()) return;
  const [{ passkeys }, ways] = await Promise.all([
    request<{ passkeys: unknown[] }>('GET', '/api/passkeys'),
    request<{ passkeys: boolean }>('GET', '/api/session/ways'),
  ]);
  if (passkeys.length > 0) return;
  const add = () => openAddPasskey(page, () => show(place));
  show(
    place,
    el(
      'div',
      { class: 'notice' },
      ways.passkeys ? t.who.nudge : t.who.noPasskeysHere,
      ' ',
      ways.passkeys && el('button', { type: 'button', class: 'button small', click: add }, t.who.addPasskey),
      el('button', { type: 'button', class: 'button small', click: () => show(place) }, t.dismiss),
    ),
  );
}
