/** A person's browser as far as the API sees it: keeps cookies, says where its requests come from, follows no redirect by itself. */
import assert from 'node:assert/strict';
import { Authenticator } from './authenticator.ts';
import { type Answer, type ControlPlane, call, type PersonOptions, signInSecret } from './control-plane.ts';

export class Visitor {
  readonly plane: ControlPlane;
  readonly cookies = new Map<string, string>();

  /** @param plane is used by the name `localhost`, since passkeys need a name */
  constructor(plane: ControlPlane) {
    this.plane = { ...plane, origin: plane.origin.replace('127.0.0.1', 'localhost') };
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await call(this.plane, method, path, {
      ...(body === undefined ? {} : { body }),
      headers: {
        ...(cookie === '' ? {} : { cookie }),
        ...(method === 'GET' ? {} : { origin: this.plane.origin }),
        ...headers,
      },
    });
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      if (/max-age=0/i.test(set)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** With a sign-in link for this person, who is made if need be. */
  async signInByLink(options: PersonOptions = {}): Promise<void> {
    const token = await signInSecret(this.plane, options);
    const answer = await this.call('POST', '/api/session', { token });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }

  async addPasskey(name = 'key'): Promise<Authenticator> {
    const authenticator = new Authenticator(this.plane.origin);
    const options = await this.call('POST', '/api/passkeys/challenge');
    assert.equal(options.status, 200, JSON.stringify(options.body));
    const credential = authenticator.register(options.body);
    const kept = await this.call('POST', '/api/passkeys', { name, credential });
    assert.equal(kept.status, 201, JSON.stringify(kept.body));
    return authenticator;
  }

  async signInByPasskey(authenticator: Authenticator): Promise<Answer> {
    const options = await this.call('POST', '/api/session/passkey/challenge');
    return this.call('POST', '/api/session/passkey', authenticator.answer(options.body));
  }

  async prove(authenticator: Authenticator): Promise<Answer> {
    const options = await this.call('POST', '/api/session/proof/challenge');
    return this.call('POST', '/api/session/proof', authenticator.answer(options.body));
  }

  /** To the issuer, where somebody is signed in, and back. */
  async signInByOidc(path = '/api/session/oidc', returnTo = '/'): Promise<Answer> {
    const start = await this.call('POST', path, { returnTo });
    assert.equal(start.status, 200, JSON.stringify(start.body));
    return this.arrive(await this.depart(start.body.url));
  }

  /** What the issuer sends the browser back with. */
  async depart(url: string): Promise<URL> {
    const issuer = await fetch(url, { redirect: 'manual' });
    return new URL(issuer.headers.get('location') ?? '');
  }

  arrive(back: URL): Promise<Answer> {
    return this.call('GET', back.pathname + back.search);
  }
}
