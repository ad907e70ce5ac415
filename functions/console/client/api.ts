/** The JSON API as the console calls it, with the session cookie. Every failure is a Problem. */
import { Problem } from './problem.ts';

const TIMEOUT_MS = 20_000;

interface ProblemBody {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly title?: unknown;
  readonly hint?: unknown;
  readonly intentId?: unknown;
}

export async function request<T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<T> {
  const init: RequestInit = {
    method,
    headers: { accept: 'application/json', ...headers },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: 'no-store',
  };
  if (body !== undefined) {
    init.headers = { ...init.headers, 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Problem('NETWORK', 0, '', '');
  }
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** All pages of a list, whose rows are the member `member` of each answer. */
export async function requestAll<T>(path: string, member: string): Promise<T[]> {
  const rows: T[] = [];
  for (let cursor: string | null = null; ; ) {
    const more: string = cursor === null ? '' : `?cursor=${encodeURIComponent(cursor)}`;
    const page = await request<Readonly<Record<string, T[]>> & { readonly next?: string | null }>('GET', path + more);
    rows.push(...(page[member] ?? []));
    cursor = page.next ?? null;
    if (cursor === null) return rows;
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as ProblemBody;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const code =
    text(body.code) || (response.status === 401 ? 'UNAUTHENTICATED' : response.status >= 502 ? 'NETWORK' : 'INTERNAL');
  const intentId = text(body.intentId);
  return new Problem(
    code,
    response.status,
    text(body.detail) || text(body.title) || `HTTP ${response.status}`,
    text(body.hint),
    intentId === '' ? undefined : intentId,
  );
}
