/** A passkey in software: makes the answers that a browser's WebAuthn would, and wrong ones where a test asks for them. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** What a test may get wrong on purpose. */
export interface Twist {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly type?: string;
  readonly userHandle?: string;
  /** User present, user verified; both unless told. */
  readonly flags?: number;
  readonly counter?: number;
  readonly key?: KeyObject;
}

interface Options {
  readonly challenge: string;
  readonly rpId?: string;
  readonly rp?: { readonly id?: string };
  readonly user?: { readonly id: string };
}

const PRESENT_AND_VERIFIED = 0x05;
const ATTESTED = 0x40;
const ES256_KEY_HEAD = Buffer.from('a5010203262001215820', 'hex');
const NO_ATTESTATION_HEAD = Buffer.concat([
  Buffer.from([0xa3, 0x63]),
  Buffer.from('fmt'),
  Buffer.from([0x64]),
  Buffer.from('none'),
  Buffer.from([0x67]),
  Buffer.from('attStmt'),
  Buffer.from([0xa0, 0x68]),
  Buffer.from('authData'),
]);

export class Authenticator {
  readonly id = randomBytes(32).toString('base64url');
  readonly #origin: string;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #counter = 0;
  #userHandle = '';

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** `RegistrationResponseJSON` */
  register(options: Options, twist: Twist = {}): Record<string, unknown> {
    this.#userHandle = options.user?.id ?? '';
    const { x = '', y = '' } = this.#keys.publicKey.export({ format: 'jwk' });
    const id = Buffer.from(this.id, 'base64url');
    const attested = Buffer.concat([
      Buffer.alloc(16),
      Buffer.from([id.length >> 8, id.length & 0xff]),
      id,
      ES256_KEY_HEAD,
      Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y, 'base64url'),
    ]);
    const authData = this.#authData(options, { flags: PRESENT_AND_VERIFIED | ATTESTED, ...twist }, attested);
    const length = Buffer.from([0x58, authData.length]);
    return this.#credential({
      clientDataJSON: this.#clientData('webauthn.create', options, twist).toString('base64url'),
      attestationObject: Buffer.concat([NO_ATTESTATION_HEAD, length, authData]).toString('base64url'),
      transports: ['internal'],
    });
  }

  /** `AuthenticationResponseJSON`; each has a higher counter than the one before. */
  answer(options: Options, twist: Twist = {}): Record<string, unknown> {
    this.#counter += 1;
    const authData = this.#authData(options, twist);
    const clientData = this.#clientData('webauthn.get', options, twist);
    const signed = Buffer.concat([authData, createHash('sha256').update(clientData).digest()]);
    return this.#credential({
      clientDataJSON: clientData.toString('base64url'),
      authenticatorData: authData.toString('base64url'),
      signature: sign('sha256', signed, twist.key ?? this.#keys.privateKey).toString('base64url'),
      userHandle: twist.userHandle ?? this.#userHandle,
    });
  }

  #credential(response: Record<string, unknown>): Record<string, unknown> {
    return { id: this.id, rawId: this.id, type: 'public-key', clientExtensionResults: {}, response };
  }

  #clientData(type: string, options: Options, twist: Twist): Buffer {
    const { challenge = options.challenge, origin = this.#origin } = twist;
    return Buffer.from(JSON.stringify({ type: twist.type ?? type, challenge, origin, crossOrigin: false }));
  }

  #authData(options: Options, twist: Twist, attested = Buffer.alloc(0)): Buffer {
    const rpId = twist.rpId ?? options.rpId ?? options.rp?.id ?? '';
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(twist.counter ?? this.#counter);
    const flags = Buffer.from([twist.flags ?? PRESENT_AND_VERIFIED]);
    return Buffer.concat([createHash('sha256').update(rpId).digest(), flags, counter, attested]);
  }
}
