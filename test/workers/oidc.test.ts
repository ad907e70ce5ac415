import { oidcSuite } from '../functions/oidc-suite.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startWorkerd } from '../helpers/workerd.ts';

oidcSuite('an OIDC issuer on workerd', async (env) => startWorkerd(await testDatabase(), env));
