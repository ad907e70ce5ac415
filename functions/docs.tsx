/** The reference at /docs: the OpenAPI document as one page, without scripts or anything from elsewhere. */

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name?: string;
    readonly in?: string;
    readonly description?: string;
    readonly required?: boolean;
  }[];
  readonly requestBody?: unknown;
  readonly responses?: Readonly<Record<string, { readonly description?: string }>>;
}

export interface OpenApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

export const DOCS_STYLE =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}' +
  'summary{cursor:pointer;padding:.35rem 0}code{font-family:ui-monospace,monospace}pre{overflow:auto;padding:.8rem;border:1px solid #8884;border-radius:.4rem}' +
  'table{border-collapse:collapse}td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top}.m{display:inline-block;min-width:4.5rem;font-weight:600}';

export function DocsPage({ document }: { readonly document: OpenApiDocument }) {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation: operation as Operation })),
  );
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${document.info.title} ${document.info.version}`}</title>
        <link rel="stylesheet" href="/docs.css" />
      </head>
      <body>
        <h1>{document.info.title}</h1>
        <p>{document.info.description}</p>
        <p>
          Machine-readable: <a href="/openapi.json">/openapi.json</a>
        </p>
        {operations.map((each) => (
          <OperationView {...each} />
        ))}
        <h2>Schemas</h2>
        {Object.entries(document.components?.schemas ?? {}).map(([name, schema]) => (
          <details>
            <summary>
              <code>{name}</code>
            </summary>
            <Json value={schema} />
          </details>
        ))}
      </body>
    </html>
  );
}

function OperationView({
  path,
  method,
  operation,
}: {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}) {
  return (
    <details id={operation.operationId}>
      <summary>
        <code>
          <span class="m">{method.toUpperCase()}</span> {path}
        </code>{' '}
        {operation.summary}
      </summary>
      {operation.description === undefined ? null : <p>{operation.description.replaceAll('`', '')}</p>}
      <table>
        {(operation.parameters ?? []).map((parameter) => (
          <tr>
            <td>
              <code>{parameter.name}</code>
            </td>
            <td>{parameter.in}</td>
            <td>{parameter.description}</td>
          </tr>
        ))}
        {Object.entries(operation.responses ?? {}).map(([status, response]) => (
          <tr>
            <td>
              <code>{status}</code>
            </td>
            <td>answer</td>
            <td>{response.description}</td>
          </tr>
        ))}
      </table>
      {operation.requestBody === undefined ? null : <Json value={operation.requestBody} />}
    </details>
  );
}

function Json({ value }: { readonly value: unknown }) {
  return <pre>{JSON.stringify(value, null, 2)}</pre>;
}
