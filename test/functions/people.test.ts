import { startNodeControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { peopleSuite } from './people-suite.ts';

peopleSuite('people on Node', async (env) => startNodeControlPlane(await testDatabase(), env));
