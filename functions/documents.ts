import type { OpenAPIHono } from '@hono/zod-openapi';
import type { AppEnv } from './deps.ts';
import { DOCS_STYLE, DocsPage, type OpenApiDocument } from './docs.tsx';

/** Version of the API, in its document. */
const VERSION = '0.1.0';

/** /openapi.json (OpenAPI 3.1) and /docs. The document is made when somebody asks, once. */
export function addDocuments(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-refloat',
    description: 'A request that changes something also needs Origin to match',
  });
  let made: OpenApiDocument | undefined;
  const document = (): OpenApiDocument => {
    made ??= app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: {
        title: 'Refloat API',
        version: VERSION,
        description:
          'Snapshots and safe restores of the data volumes of Docker workloads. Bodies are JSON, times RFC 3339 in UTC, ids UUIDv7, sizes bytes, durations milliseconds. Errors are RFC 9457 problems with a stable code and a hint.',
      },
    }) as unknown as OpenApiDocument;
    return made;
  };
  app.get('/openapi.json', (c) => c.json(document()));
  app.get('/docs', (c) => {
    c.header(
      'content-security-policy',
      "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    return c.html(`<!doctype html>${DocsPage({ document: document() }).toString()}`);
  });
  app.get('/docs.css', (c) => c.body(DOCS_STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }));
}
