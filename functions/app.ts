/**
 * The control plane as one Hono app: every route on one screen. Built and exported without listening; the entries are
 * node.ts and worker.ts.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { consoleApp } from './console/routes.tsx';
import type { AppDeps, AppEnv } from './deps.ts';
import { addDocuments } from './documents.ts';
import { addMiddleware } from './middleware.ts';
import { adoptWorkload } from './routes/adopt-workload.ts';
import { cancelIntent } from './routes/cancel-intent.ts';
import { captureSnapshot } from './routes/capture-snapshot.ts';
import { createEnrollment } from './routes/create-enrollment.ts';
import { createHost } from './routes/create-host.ts';
import { createIssuer } from './routes/create-issuer.ts';
import { createOidcDeparture } from './routes/create-oidc-departure.ts';
import { createOidcProof } from './routes/create-oidc-proof.ts';
import { createPasskey } from './routes/create-passkey.ts';
import { createPasskeyChallenge } from './routes/create-passkey-challenge.ts';
import { createPasskeySession } from './routes/create-passkey-session.ts';
import { createPerson } from './routes/create-person.ts';
import { createPersonLink } from './routes/create-person-link.ts';
import { createProof } from './routes/create-proof.ts';
import { createProofChallenge } from './routes/create-proof-challenge.ts';
import { createRegistrationChallenge } from './routes/create-registration-challenge.ts';
import { createSession } from './routes/create-session.ts';
import { createToken } from './routes/create-token.ts';
import { createWorkload } from './routes/create-workload.ts';
import { deleteIssuer } from './routes/delete-issuer.ts';
import { deletePasskey } from './routes/delete-passkey.ts';
import { deleteSession } from './routes/delete-session.ts';
import { deleteSnapshot } from './routes/delete-snapshot.ts';
import { deployWorkload } from './routes/deploy-workload.ts';
import { enroll } from './routes/enroll.ts';
import { getIntent } from './routes/get-intent.ts';
import { getSession } from './routes/get-session.ts';
import { getSnapshot } from './routes/get-snapshot.ts';
import { getWorkload } from './routes/get-workload.ts';
import { healthz } from './routes/healthz.ts';
import { importSnapshot } from './routes/import-snapshot.ts';
import { intentEvents } from './routes/intent-events.ts';
import { jwks } from './routes/jwks.ts';
import { listAudit } from './routes/list-audit.ts';
import { listHosts } from './routes/list-hosts.ts';
import { listIntents } from './routes/list-intents.ts';
import { listIssuers } from './routes/list-issuers.ts';
import { listPasskeys } from './routes/list-passkeys.ts';
import { listPeople } from './routes/list-people.ts';
import { listSessions } from './routes/list-sessions.ts';
import { listSnapshots } from './routes/list-snapshots.ts';
import { listTokens } from './routes/list-tokens.ts';
import { listWorkloads } from './routes/list-workloads.ts';
import { metrics } from './routes/metrics.ts';
import { oidcCallback } from './routes/oidc-callback.ts';
import { planRestore } from './routes/plan-restore.ts';
import { putPasskey } from './routes/put-passkey.ts';
import { putPerson } from './routes/put-person.ts';
import { putWorkload } from './routes/put-workload.ts';
import { readyz } from './routes/readyz.ts';
import { restoreSnapshot } from './routes/restore-snapshot.ts';
import { revokeHost } from './routes/revoke-host.ts';
import { revokeSession } from './routes/revoke-session.ts';
import { revokeToken } from './routes/revoke-token.ts';
import { signInWays } from './routes/sign-in-ways.ts';
import { undoIntent } from './routes/undo-intent.ts';
import { verifySnapshot } from './routes/verify-snapshot.ts';
import { signInApp } from './sign-in-page.ts';

const ROUTES = [
  listHosts,
  createHost,
  revokeHost,
  createEnrollment,
  enroll,
  listWorkloads,
  createWorkload,
  adoptWorkload,
  getWorkload,
  putWorkload,
  deployWorkload,
  listSnapshots,
  captureSnapshot,
  importSnapshot,
  getSnapshot,
  deleteSnapshot,
  planRestore,
  verifySnapshot,
  restoreSnapshot,
  listIntents,
  getIntent,
  intentEvents,
  undoIntent,
  cancelIntent,
  listTokens,
  createToken,
  revokeToken,
  listIssuers,
  createIssuer,
  deleteIssuer,
  listAudit,
  createSession,
  getSession,
  deleteSession,
  createPasskeyChallenge,
  createPasskeySession,
  createProofChallenge,
  createProof,
  createOidcDeparture,
  createOidcProof,
  oidcCallback,
  signInWays,
  listPasskeys,
  createRegistrationChallenge,
  createPasskey,
  putPasskey,
  deletePasskey,
  listSessions,
  revokeSession,
  listPeople,
  createPerson,
  putPerson,
  createPersonLink,
  jwks,
  healthz,
  readyz,
  metrics,
];

export type App = OpenAPIHono<AppEnv>;

export function createApp(deps: AppDeps): App {
  const app: App = new OpenAPIHono<AppEnv>();
  addMiddleware(app, deps);
  for (const route of ROUTES) route.mount(app, deps);
  addDocuments(app);
  app.route('/', signInApp());
  app.route('/', consoleApp());
  return app;
}
