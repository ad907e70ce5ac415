/** One's own passkeys and sessions. */
import { request, requestAll } from './api.ts';
import { deviceOf } from './device.ts';
import { el, show } from './dom.ts';
import { openForm } from './form-dialog.ts';
import type { PageContext } from './model.ts';
import { addPasskey, supportsPasskeys } from './passkeys.ts';
import { withProof } from './proof.ts';
import { action, headRow } from './table.ts';

interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly backedUp: boolean;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
}

interface ListedSession {
  readonly id: string;
  readonly current: boolean;
  readonly userAgent: string;
  readonly proof: 'link' | 'passkey' | 'oidc';
  readonly lastSeenAt: string;
}

export async function accountPage(page: PageContext): Promise<void> {
  const { t, app, session } = page;
  const words = t.who;
  const [passkeys, sessions] = await Promise.all([
    requestAll<Passkey>('/api/passkeys', 'passkeys'),
    requestAll<ListedSession>('/api/sessions', 'sessions'),
  ]);
  const role = session.person === null ? '' : words.yourRole(words.roles[session.person.role]);
  const limit = session.projects === null ? '' : ` · ${words.limitedTo(session.projects.join(', '))}`;
  show(
    app,
    el(
      'div',
      { class: 'pages' },
      el('header', {}, el('h1', {}, session.subject), el('p', { class: 'muted' }, role + limit)),
      passkeySection(page, passkeys),
      sessionSection(page, sessions),
    ),
  );
}

/** Asks for a name, then the browser for the passkey. @param then when it is there */
export function openAddPasskey({ t, session }: Pick<PageContext, 't' | 'session'>, then: () => void): void {
  const words = t.who;
  const field = { name: 'name', label: words.name, value: deviceOf(words, navigator.userAgent) };
  openForm(
    t,
    { title: words.addPasskeyTitle, texts: [words.passkeysText], fields: [field], button: words.save },
    async (values) => {
      await withProof(session, () => addPasskey(values.get('name') ?? ''));
      then();
    },
  );
}

function passkeySection(page: PageContext, passkeys: readonly Passkey[]): HTMLElement {
  const { t, f, session } = page;
  const words = t.who;
  const local = session.person?.managedBy === 'admin';
  const again = () => void accountPage(page).catch(page.notify);
  const row = (passkey: Passkey) =>
    el(
      'tr',
      { 'data-key': `passkey-${passkey.id}` },
      el(
        'td',
        { 'data-label': words.name },
        el('strong', {}, passkey.name),
        passkey.backedUp && el('span', { class: 'sub' }, words.syncs),
      ),
      el('td', { 'data-label': words.added }, f.ago(passkey.createdAt)),
      el('td', { 'data-label': words.lastUsed }, passkey.lastUsedAt === null ? words.never : f.ago(passkey.lastUsedAt)),
      el(
        'td',
        { class: 'row-actions' },
        action(words.rename, `rename-${passkey.id}`, () => openRename(page, passkey, again)),
        action(words.remove, `remove-${passkey.id}`, () => openRemove(page, passkey, passkeys.length === 1, again)),
      ),
    );
  return el(
    'section',
    { class: 'card', 'aria-labelledby': 'passkeys-title' },
    el(
      'header',
      { class: 'card-head' },
      el('h2', { id: 'passkeys-title' }, words.passkeys),
      local &&
        supportsPasskeys() &&
        el(
          'button',
          {
            type: 'button',
            class: 'button primary',
            'data-key': 'add-passkey',
            click: () => openAddPasskey(page, again),
          },
          words.addPasskey,
        ),
    ),
    el('p', { class: 'muted' }, local ? words.passkeysText : words.passkeysAtIssuer),
    passkeys.length === 0 && local && el('p', { class: 'warn' }, words.noPasskeys),
    passkeys.length > 0 &&
      el(
        'table',
        { class: 'snapshots' },
        headRow([words.name, words.added, words.lastUsed], t.actions),
        el('tbody', {}, ...passkeys.map(row)),
      ),
  );
}

function openRename({ t }: PageContext, passkey: Passkey, then: () => void): void {
  const words = t.who;
  const field = { name: 'name', label: words.name, value: passkey.name };
  openForm(t, { title: words.renameTitle, fields: [field], button: words.save }, async (values) => {
    await request('PUT', `/api/passkeys/${passkey.id}`, {}, { name: values.get('name') ?? '' });
    then();
  });
}

function openRemove({ t, session }: PageContext, passkey: Passkey, last: boolean, then: () => void): void {
  const words = t.who;
  const texts = last ? [words.removeText, words.removeLast] : [words.removeText];
  const form = { title: words.removeTitle(passkey.name), texts, button: words.removeButton, danger: true };
  openForm(t, form, async () => {
    await withProof(session, () => request('DELETE', `/api/passkeys/${passkey.id}?last=${last}`));
    then();
  });
}

function sessionSection(page: PageContext, sessions: readonly ListedSession[]): HTMLElement {
  const { t, f } = page;
  const words = t.who;
  const end = async (each: ListedSession) => {
    await request('DELETE', `/api/sessions/${each.id}`);
    if (each.current) location.reload();
    else await accountPage(page);
  };
  const item = (each: ListedSession) =>
    el(
      'li',
      { 'data-key': `session-${each.id}` },
      el('span', { class: 'history-kind', title: each.userAgent }, deviceOf(words, each.userAgent)),
      el('span', { class: 'muted' }, words.signedInWith[each.proof]),
      el(
        'span',
        { class: 'muted history-what' },
        each.current ? words.thisSession : words.lastSeen(f.ago(each.lastSeenAt)),
      ),
      action(words.endSession, `end-${each.id}`, () => void end(each).catch(page.notify)),
    );
  return el(
    'section',
    { class: 'card', 'aria-labelledby': 'sessions-title' },
    el('header', { class: 'card-head' }, el('h2', { id: 'sessions-title' }, words.sessions)),
    el('ul', { class: 'history' }, ...sessions.map(item)),
  );
}
