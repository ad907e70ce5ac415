/** Who gets which status from which route, when everything else about the request is right. */

import type { TokenScope } from '../../functions/auth/scopes.ts';

/** The columns, in the order of the statuses of a row. */
export const WHO = [
  'nobody',
  'expired',
  'wrong audience',
  'revoked',
  'viewer',
  'operator',
  'admin',
  'admin without fresh proof',
  'token with the scope',
  'token without it',
  'token of another workload',
  'host role',
  'other host',
  'trusted issuer, matching',
  'trusted issuer, not matching',
] as const;
export type Who = (typeof WHO)[number];

/** What the rule of the trusted issuer gives: all that a job of a CI system may need. */
export const ISSUER_SCOPES: readonly TokenScope[] = [
  'hosts:read',
  'workloads:read',
  'workloads:write',
  'workloads:deploy',
  'snapshots:read',
  'snapshots:capture',
  'snapshots:delete',
  'restores:create',
  'intents:read',
];

export interface Expected {
  /** What the token of `token with the scope` has; undefined: all scopes. */
  readonly scope: string | undefined;
  readonly statuses: Readonly<Record<Who, number>>;
}

function row(scope: string | undefined, statuses: string): Expected {
  const numbers = statuses.split(' ').map(Number);
  if (numbers.length !== WHO.length) throw new Error(`${numbers.length} statuses for ${WHO.length} who ask`);
  return { scope, statuses: Object.fromEntries(WHO.map((who, at) => [who, numbers[at]])) as Record<Who, number> };
}

/** Open to everybody, whatever they show. */
const open = (status: number): Expected => row(undefined, WHO.map(() => status).join(' '));

// biome-ignore format: a table
export const EXPECTED: Readonly<Record<string, Expected>> = {
  //                                          nobody  expired aud revoked | viewer operator admin stale | scope none other | host other | issuer not
  'GET /api/hosts':                                 row('hosts:read',        '401 401 401 401 200 200 200 200 200 403 200 401 401 200 403'),
  'POST /api/hosts':                                row('hosts:write',       '401 401 401 401 403 403 201 201 201 403 403 401 401 403 403'),
  'DELETE /api/hosts/:id':                          row('hosts:write',       '401 401 401 401 403 403 204 403 204 403 403 401 401 403 403'),
  'POST /api/hosts/:id/enrollment':                 row('hosts:write',       '401 401 401 401 403 403 201 403 201 403 403 401 401 403 403'),
  'POST /api/enroll':                               open(401),
  'GET /api/workloads':                             row('workloads:read',    '401 401 401 401 200 200 200 200 200 403 200 401 401 200 403'),
  'POST /api/workloads':                            row('workloads:write',   '401 401 401 401 403 403 201 201 201 403 403 401 401 201 403'),
  'POST /api/workloads/adopt':                      row('workloads:write',   '401 401 401 401 403 403 404 404 404 403 403 401 401 404 403'),
  'GET /api/workloads/:id':                         row('workloads:read',    '401 401 401 401 200 200 200 200 200 403 403 401 401 200 403'),
  'PUT /api/workloads/:id':                         row('workloads:write',   '401 401 401 401 403 403 200 200 200 403 403 401 401 200 403'),
  'POST /api/workloads/:id/deploy':                 row('workloads:deploy',  '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'GET /api/workloads/:id/snapshots':               row('snapshots:read',    '401 401 401 401 200 200 200 200 200 403 403 401 401 200 403'),
  'POST /api/workloads/:id/snapshots':              row('snapshots:capture', '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'POST /api/workloads/:id/imports':                row('snapshots:capture', '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'GET /api/workloads/:id/snapshots/:sid':          row('snapshots:read',    '401 401 401 401 200 200 200 200 200 403 403 401 401 200 403'),
  'DELETE /api/workloads/:id/snapshots/:sid':       row('snapshots:delete',  '401 401 401 401 403 403 202 403 202 403 403 401 401 202 403'),
  'POST /api/workloads/:id/snapshots/:sid/plan':    row('snapshots:read',    '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'POST /api/workloads/:id/snapshots/:sid/verify':  row('snapshots:read',    '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'POST /api/workloads/:id/snapshots/:sid/restore': row('restores:create',   '401 401 401 401 403 202 202 403 202 403 403 401 401 202 403'),
  'GET /api/intents':                               row('intents:read',      '401 401 401 401 200 200 200 200 200 403 200 401 401 200 403'),
  'GET /api/intents/:id':                           row('intents:read',      '401 401 401 401 200 200 200 200 200 403 403 401 401 200 403'),
  'GET /api/intents/:id/events':                    row('intents:read',      '401 401 401 401 200 200 200 200 200 403 403 401 401 200 403'),
  'POST /api/intents/:id/undo':                     row('restores:create',   '401 401 401 401 403 202 202 403 202 403 403 401 401 202 403'),
  'POST /api/intents/:id/cancel':                   row('restores:create',   '401 401 401 401 403 202 202 202 202 403 403 401 401 202 403'),
  'GET /api/tokens':                                row('tokens:write',      '401 401 401 401 403 403 200 200 200 403 403 401 401 403 403'),
  'POST /api/tokens':                               row('tokens:write',      '401 401 401 401 403 403 201 403 201 403 403 401 401 403 403'),
  'DELETE /api/tokens/:jti':                        row('tokens:write',      '401 401 401 401 403 403 204 204 204 403 403 401 401 403 403'),
  'GET /api/audit':                                 row('audit:read',        '401 401 401 401 403 403 200 200 200 403 403 401 401 403 403'),
  'GET /api/session':                               row(undefined,           '401 401 401 401 200 200 200 200 200 200 200 401 401 200 403'),
  'DELETE /api/session':                            row(undefined,           '401 401 401 401 204 204 204 204 403 403 403 401 401 403 403'),
  'GET /api/issuers':                               row('tokens:write',      '401 401 401 401 403 403 200 200 200 403 403 401 401 403 403'),
  // A token gives no scope that it does not have: the one with this scope alone is refused, too.
  'POST /api/issuers':                              row('tokens:write',      '401 401 401 401 403 403 201 403 403 403 403 401 401 403 403'),
  'DELETE /api/issuers/:id':                        row('tokens:write',      '401 401 401 401 403 403 204 204 204 403 403 401 401 403 403'),
  'POST /api/session':                              open(401),
  'GET /api/session/ways':                          open(200),
  // Here no issuer is set up, and the address is a number, which no passkey can be bound to.
  'POST /api/session/oidc':                         open(404),
  'GET /api/session/oidc/callback':                 open(303),
  'POST /api/session/passkey/challenge':            open(409),
  'POST /api/session/passkey':                      open(422),
  'POST /api/session/proof/oidc':                   row(undefined,           '401 401 401 401 403 403 403 403 403 403 403 401 401 403 403'),
  'POST /api/session/proof/challenge':              row(undefined,           '401 401 401 401 404 404 404 404 403 403 403 401 401 403 403'),
  'POST /api/session/proof':                        row(undefined,           '401 401 401 401 422 422 422 422 403 403 403 401 401 403 403'),
  'GET /api/sessions':                              row(undefined,           '401 401 401 401 200 200 200 200 403 403 403 401 401 403 403'),
  'DELETE /api/sessions/:id':                       row(undefined,           '401 401 401 401 404 404 404 404 403 403 403 401 401 403 403'),
  'GET /api/passkeys':                              row(undefined,           '401 401 401 401 200 200 200 200 403 403 403 401 401 403 403'),
  'POST /api/passkeys':                             row(undefined,           '401 401 401 401 422 422 422 422 403 403 403 401 401 403 403'),
  'POST /api/passkeys/challenge':                   row(undefined,           '401 401 401 401 409 409 409 403 403 403 403 401 401 403 403'),
  'PUT /api/passkeys/:id':                          row(undefined,           '401 401 401 401 404 404 404 404 403 403 403 401 401 403 403'),
  'DELETE /api/passkeys/:id':                       row(undefined,           '401 401 401 401 404 404 404 403 403 403 403 401 401 403 403'),
  'GET /api/people':                                row('people:write',      '401 401 401 401 403 403 200 200 200 403 403 401 401 403 403'),
  'POST /api/people':                               row('people:write',      '401 401 401 401 403 403 201 403 201 403 403 401 401 403 403'),
  'PUT /api/people/:id':                            row('people:write',      '401 401 401 401 403 403 200 403 200 403 403 401 401 403 403'),
  'POST /api/people/:id/link':                      row('people:write',      '401 401 401 401 403 403 201 403 201 403 403 401 401 403 403'),
  'GET /.well-known/jwks.json':                     open(200),
  'GET /healthz':                                   open(200),
  'GET /readyz':                                    open(200),
  'GET /metrics':                                   open(200),
  'GET /openapi.json':                              open(200),
  'GET /docs':                                      open(200),
  'GET /docs.css':                                  open(200),
  'GET /sign-in':                                   open(200),
  'GET /sign-in.js':                                open(200),
  'GET /sign-in.css':                               open(200),
  'GET /':                                          open(200),
  'GET /account':                                   open(200),
  'GET /people':                                    open(200),
  'GET /language/:language':                        open(303),
  'GET /assets/console.js':                         open(200),
  'GET /assets/console.css':                        open(200),
  'GET /assets/icon.svg':                           open(200),
};
