/** Who may do what; for admins. */
import { ROLES, type Role } from '../../../db/roles.ts';
import { request, requestAll } from './api.ts';
import { el, show } from './dom.ts';
import { type FormField, openForm } from './form-dialog.ts';
import type { PageContext } from './model.ts';
import { withProof } from './proof.ts';
import { action, headRow } from './table.ts';

interface ListedPerson {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly projects: readonly string[] | null;
  readonly managedBy: 'admin' | 'oidc';
  readonly lastSeenAt: string | null;
  readonly disabledAt: string | null;
}

interface Link {
  readonly signInLink: string;
  readonly linkExpiresAt: string;
}

export async function peoplePage(page: PageContext): Promise<void> {
  const { t, app } = page;
  const words = t.who;
  const people = await requestAll<ListedPerson>('/api/people', 'people');
  show(
    app,
    el(
      'div',
      { class: 'pages' },
      el(
        'header',
        { class: 'card-head' },
        el('div', {}, el('h1', {}, words.people), el('p', { class: 'muted' }, words.peopleText)),
        el(
          'button',
          { type: 'button', class: 'button primary', 'data-key': 'invite', click: () => openInvite(page) },
          words.invite,
        ),
      ),
      el(
        'section',
        { class: 'card' },
        el(
          'table',
          { class: 'snapshots' },
          headRow([words.personName, words.role, words.projects, words.status], t.actions),
          el('tbody', {}, ...people.map((person) => personRow(page, person))),
        ),
      ),
    ),
  );
}

function personRow(page: PageContext, person: ListedPerson): HTMLElement {
  const { t, f } = page;
  const words = t.who;
  const { disabledAt, lastSeenAt } = person;
  const local = person.managedBy === 'admin';
  const seen = lastSeenAt === null ? words.invited : words.lastSeen(f.ago(lastSeenAt));
  return el(
    'tr',
    { 'data-key': `person-${person.id}` },
    el(
      'td',
      { 'data-label': words.personName },
      el('strong', {}, person.name),
      !local && el('span', { class: 'sub' }, words.byIssuer),
    ),
    el('td', { 'data-label': words.role }, el('span', { class: 'chip' }, words.roles[person.role])),
    el('td', { 'data-label': words.projects }, person.projects?.join(', ') ?? words.allProjects),
    el(
      'td',
      { 'data-label': words.status },
      disabledAt === null ? words.active : el('span', { class: 'warn' }, words.disabled),
      el('span', { class: 'sub' }, seen),
    ),
    el(
      'td',
      { class: 'row-actions' },
      local && action(words.change, `change-${person.id}`, () => openChange(page, person)),
      local && disabledAt === null && action(words.newLink, `link-${person.id}`, () => openNewLink(page, person)),
      disabledAt === null
        ? action(words.disable, `disable-${person.id}`, () => openDisable(page, person))
        : action(
            words.enable,
            `enable-${person.id}`,
            () => void put(page, person, { disabled: false }).catch(page.notify),
          ),
    ),
  );
}

async function put(page: PageContext, person: ListedPerson, change: object): Promise<void> {
  const { role, projects, disabledAt } = person;
  const body = { role, projects, disabled: disabledAt !== null, ...change };
  await withProof(page.session, () => request('PUT', `/api/people/${person.id}`, {}, body));
  await peoplePage(page);
}

function grantFields({ t }: PageContext, role: Role, projects: readonly string[] | null): FormField[] {
  const words = t.who;
  const options = Object.fromEntries(ROLES.map((each) => [each, words.roles[each]]));
  return [
    { name: 'role', label: words.role, value: role, options },
    {
      name: 'projects',
      label: words.projects,
      value: projects?.join(', ') ?? '',
      hint: words.projectsHint,
      optional: true,
    },
  ];
}

function grantOf(values: ReadonlyMap<string, string>): { role: string; projects: string[] | null } {
  const projects = (values.get('projects') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return { role: values.get('role') ?? '', projects: projects.length === 0 ? null : projects };
}

function openInvite(page: PageContext): void {
  const { t, session } = page;
  const words = t.who;
  const fields = [{ name: 'name', label: words.personName, value: '' }, ...grantFields(page, 'operator', null)];
  openForm(
    t,
    { title: words.inviteTitle, texts: [words.peopleText], fields, button: words.inviteButton },
    async (values) => {
      const name = values.get('name') ?? '';
      const link = await withProof(session, () =>
        request<Link>('POST', '/api/people', {}, { name, ...grantOf(values) }),
      );
      await peoplePage(page);
      showLink(page, name, link);
    },
  );
}

function openChange(page: PageContext, person: ListedPerson): void {
  const words = page.t.who;
  const fields = grantFields(page, person.role, person.projects);
  openForm(page.t, { title: words.changeTitle(person.name), fields, button: words.save }, (values) =>
    put(page, person, grantOf(values)),
  );
}

function openDisable(page: PageContext, person: ListedPerson): void {
  const words = page.t.who;
  const form = { title: words.disableTitle(person.name), texts: [words.disableText], button: words.disableButton };
  openForm(page.t, { ...form, danger: true }, () => put(page, person, { disabled: true }));
}

function openNewLink(page: PageContext, person: ListedPerson): void {
  const { t, session } = page;
  const form = { title: t.who.linkTitle(person.name), button: t.who.inviteButton };
  openForm(t, form, async () => {
    const link = await withProof(session, () => request<Link>('POST', `/api/people/${person.id}/link`));
    showLink(page, person.name, link);
  });
}

function showLink({ t, f }: PageContext, name: string, { signInLink, linkExpiresAt }: Link): void {
  const words = t.who;
  const text = el('input', { type: 'text', class: 'link-text', readonly: true, 'aria-label': words.linkTitle(name) });
  text.value = signInLink;
  const copy = el('button', { type: 'button', class: 'button primary' }, words.copy);
  copy.addEventListener('click', () => {
    text.select();
    void navigator.clipboard.writeText(signInLink).then(() => {
      copy.textContent = words.copied;
    });
  });
  const done = el('button', { type: 'button', class: 'button', click: () => dialog.close() }, words.done);
  const dialog = el(
    'dialog',
    { class: 'danger-dialog', 'aria-labelledby': 'link-title' },
    el(
      'form',
      { method: 'dialog' },
      el('h2', { id: 'link-title' }, words.linkTitle(name)),
      el('p', {}, words.linkText(f.time(linkExpiresAt))),
      el('div', { class: 'field' }, text),
      el('div', { class: 'dialog-actions' }, done, copy),
    ),
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
