/**
 * One route: its description for /openapi.json and its handler, with the checks that every route has in the same order:
 * credential (401), origin of cookie requests (403), rate limit (429), scope and fresh proof (403), path and query (404, 422);
 * then the handler's own.
 */
import { createRoute, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import { z } from 'zod';
import { RefloatError } from '../db/errors.ts';
import { isStorable, storable } from '../db/storable.ts';
import { authenticate } from './auth/authenticate.ts';
import {
  limitedAs,
  type Person,
  type Principal,
  requireFreshProof,
  requireMoreThanViewer,
  requirePerson,
  requireScope,
} from './auth/principal.ts';
import type { TokenScope } from './auth/scopes.ts';
import type { AppContext, AppDeps, AppEnv } from './deps.ts';
import { bodyBytes, bodyText } from './request-body.ts';
import { PROBLEM } from './wire.ts';

/** `public`: no credential. `any`: a credential, whatever its scopes. `person`: a session, whatever its role. */
type Access = TokenScope | 'public' | 'any' | 'person';
type Shape = Readonly<Record<string, z.ZodType>>;
type Output<S extends Shape | undefined> = S extends Shape ? { [K in keyof S]: z.output<S[K]> } : Record<string, never>;

export interface Call<
  A extends Access,
  P extends Shape | undefined,
  Q extends Shape | undefined,
  B extends z.ZodType | undefined,
> {
  readonly c: AppContext;
  readonly deps: AppDeps;
  readonly principal: A extends 'public' ? undefined : A extends 'person' ? Person : Principal;
  readonly params: Output<P>;
  readonly query: Output<Q>;
  /** Parsed on demand, so that a handler decides which of its checks come before those of the body. */
  readonly body: () => Promise<B extends z.ZodType ? z.output<B> : undefined>;
}

export interface EndpointConfig<
  A extends Access,
  P extends Shape | undefined,
  Q extends Shape | undefined,
  B extends z.ZodType | undefined,
> {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** With `{name}` for parameters, as in OpenAPI. */
  readonly path: string;
  /** operationId; the action in the audit. */
  readonly name: string;
  readonly summary: string;
  readonly access: A;
  /** People need a proof of the last five minutes that it is them. */
  readonly fresh?: true;
  /** A parameter of another form names nothing that exists: 404. */
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Header names with what they are for. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, Answer>>;
}

interface Answer {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Default JSON. */
  readonly type?: string;
  /** Another form of it, by media type. */
  readonly or?: Readonly<Record<string, z.ZodType>>;
}

export interface Endpoint {
  readonly mount: (app: OpenAPIHono<AppEnv>, deps: AppDeps) => void;
}

export function endpoint<
  const A extends Access,
  P extends Shape | undefined = undefined,
  Q extends Shape | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(config: EndpointConfig<A, P, Q, B>, handler: (call: Call<A, P, Q, B>) => Promise<Response> | Response): Endpoint {
  return {
    mount: (app, deps) => {
      app.openAPIRegistry.registerPath(describe(config));
      const [params, query] = [
        config.params && z.object(config.params as Shape),
        config.query && z.strictObject(config.query as Shape),
      ];
      app.on(config.method.toUpperCase(), config.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
        c.set('action', config.name);
        const principal = await admit(config, c, deps);
        if (principal !== undefined) authorize(principal, config);
        const call = {
          c,
          deps,
          principal,
          params: parseParams(params, c),
          query: query === undefined ? {} : validated(query, c.req.query(), 'the query'),
          body: () => parseBody(config.body, c),
        };
        return handler(call as unknown as Call<A, P, Q, B>);
      });
    },
  };
}

function authorize(
  principal: Principal,
  { access, method, fresh }: { readonly access: Access; readonly method: string; readonly fresh?: true },
): void {
  if (access === 'person') requirePerson(principal);
  else if (access !== 'any') {
    requireScope(principal, access as TokenScope);
    if (method !== 'get') requireMoreThanViewer(principal);
  }
  if (fresh === true) requireFreshProof(principal);
}

/** Who asks, within their rate limit; strangers are limited by address where they can change something. */
async function admit(
  { access, method }: Pick<EndpointConfig<Access, undefined, undefined, undefined>, 'access' | 'method'>,
  c: AppContext,
  deps: AppDeps,
): Promise<Principal | undefined> {
  const limit = c.get('limit');
  if (access === 'public') {
    if (method !== 'get') await limit('sign-in', `address:${deps.clientAddress(c)}`);
    return undefined;
  }
  const principal = await authenticate(c, deps).catch(async (error: unknown) => {
    if (error instanceof RefloatError && error.code === 'UNAUTHENTICATED')
      await limit('refused', `address:${deps.clientAddress(c)}`);
    throw error;
  });
  c.set('principal', principal);
  await limit(method === 'get' ? 'read' : 'change', limitedAs(principal));
  return principal;
}

function parseParams(schema: z.ZodType | undefined, c: AppContext): unknown {
  if (schema === undefined) return {};
  const result = schema.safeParse(c.req.param());
  if (result.success) return result.data;
  throw new RefloatError('NOT_FOUND', `there is nothing at ${c.req.path}`, {
    hint: 'Ids are UUIDs; check the address.',
  });
}

async function parseBody(schema: z.ZodType | undefined, c: AppContext): Promise<unknown> {
  if (schema === undefined) return undefined;
  const { byteLength } = await bodyBytes(c);
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  // A body of another type would otherwise be dropped in silence, and the request mean something else than it says.
  if (byteLength > 0 && type !== undefined && type !== '' && !/^application\/([\w.-]+\+)?json$/.test(type)) {
    throw new RefloatError('UNSUPPORTED_MEDIA_TYPE', `a body of type ${type.slice(0, 100)} is not understood`, {
      hint: 'Send JSON with "Content-Type: application/json".',
    });
  }
  const text = await bodyText(c);
  let value: unknown;
  try {
    value = text.trim() === '' ? undefined : JSON.parse(text);
  } catch {
    throw new RefloatError('BAD_REQUEST', 'the body is not JSON', {
      hint: 'Check quotes, commas and the encoding (UTF-8).',
    });
  }
  return validated(schema, value ?? {}, 'the body');
}

/** Throws `VALIDATION_FAILED` with every problem and its path. @param part of the request, for people */
function validated<S extends z.ZodType>(schema: S, value: unknown, part: string): z.output<S> {
  const lost = unstorable(value);
  if (lost !== undefined) throw invalid([lost], part);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => ({
    path: issue.path.map(String).join('.'),
    message: issue.message,
  }));
  throw invalid(problems, part);
}

interface ValueProblem {
  readonly path: string;
  readonly message: string;
}

function invalid(problems: readonly ValueProblem[], part: string): RefloatError {
  const [first] = problems;
  return new RefloatError(
    'VALIDATION_FAILED',
    problems.length === 1 && first !== undefined
      ? `${first.path || part}: ${first.message}`
      : `${problems.length} values are not valid`,
    { hint: 'See "errors" for each value, and /docs for what is expected.', details: { errors: problems } },
  );
}

/** A name or value that the database could not hold, or that would be lost on the way. Not recursive: bodies may be deep. */
function unstorable(root: unknown): ValueProblem | undefined {
  const left: { readonly path: string; readonly value: unknown }[] = [{ path: '', value: root }];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    const { path, value } = at;
    if (typeof value === 'string' && !isStorable(value))
      return { path: storable(path), message: 'must contain neither NUL nor half a surrogate pair' };
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, member] of Object.entries(value)) {
      const below = path === '' ? name : `${path}.${name}`;
      if (name === '__proto__' || !isStorable(name))
        return { path: storable(below), message: 'is not a name that can be used' };
      left.push({ path: below, value: member });
    }
  }
  return undefined;
}

function describeAccess({ access, fresh }: { readonly access: Access; readonly fresh?: true }): {
  description?: string;
} {
  const who =
    access === 'person' ? 'People only.' : access === 'public' || access === 'any' ? '' : `Scope: \`${access}\``;
  const proof = fresh === true ? 'People need a proof of the last five minutes.' : '';
  const description = [who, proof].filter((text) => text !== '').join(access === 'person' ? ' ' : '. ');
  return description === '' ? {} : { description };
}

function describe(
  config: EndpointConfig<Access, Shape | undefined, Shape | undefined, z.ZodType | undefined>,
): RouteConfig {
  const responses: RouteConfig['responses'] = {};
  for (const [status, { description, schema, type, or }] of Object.entries(config.answers)) {
    if (Number(status) >= 400)
      responses[status] = { description, content: { 'application/problem+json': { schema: PROBLEM } } };
    else if (schema === undefined) responses[status] = { description };
    else {
      const forms = Object.entries({ [type ?? 'application/json']: schema, ...or });
      responses[status] = {
        description,
        content: Object.fromEntries(forms.map(([name, form]) => [name, { schema: form }])),
      };
    }
  }
  const headers = Object.entries(config.headers ?? {}).map(([name, description]) => [
    name,
    z.string().optional().describe(description),
  ]);
  return createRoute({
    method: config.method,
    path: config.path,
    operationId: config.name,
    summary: config.summary,
    ...(config.access === 'public' ? { security: [] } : { security: [{ token: [] }, { session: [] }] }),
    ...describeAccess(config),
    request: {
      ...(config.params === undefined ? {} : { params: z.object(config.params) }),
      ...(config.query === undefined ? {} : { query: z.object(config.query) }),
      ...(headers.length === 0 ? {} : { headers: z.object(Object.fromEntries(headers)) }),
      ...(config.body === undefined
        ? {}
        : {
            body: {
              required: !config.body.safeParse({}).success,
              content: { 'application/json': { schema: config.body } },
            },
          }),
    },
    responses: {
      ...responses,
      default: { description: 'Any other refusal', content: { 'application/problem+json': { schema: PROBLEM } } },
    },
  });
}
