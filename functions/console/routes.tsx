/**
 * The console: one page and its assets. It needs nothing but the API that stands beside it, with the session cookie.
 *
 * Guarantees: a page that runs no script and no style but its own files (Content-Security-Policy), and cannot be framed.
 */
import { type Context, Hono } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { CONSOLE_SCRIPT, CONSOLE_STYLE, CONSOLE_VERSION } from './client.gen.ts';
import { isLanguage } from './i18n/languages.ts';
import { ICON_SVG } from './icon.ts';
import { LANGUAGE_COOKIE, pickLanguage } from './language.ts';
import { Page } from './page.tsx';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

/** One document; its script looks at the address. */
const PAGES = ['/', '/account', '/people'] as const;

const YEAR_SECONDS = 365 * 86_400;

const ASSETS = {
  'console.js': { type: 'text/javascript; charset=utf-8', body: CONSOLE_SCRIPT },
  'console.css': { type: 'text/css; charset=utf-8', body: CONSOLE_STYLE },
  'icon.svg': { type: 'image/svg+xml', body: ICON_SVG },
} as const;

export function consoleApp(): Hono {
  const app = new Hono();

  for (const path of PAGES) app.get(path, (c) => page(c, path));

  app.get('/language/:language', (c) => {
    const language = c.req.param('language');
    if (!isLanguage(language)) return c.notFound();
    setCookie(c, LANGUAGE_COOKIE, language, { path: '/', sameSite: 'Lax', httpOnly: true, maxAge: YEAR_SECONDS });
    const to = PAGES.find((path) => path === c.req.query('to')) ?? '/';
    return c.redirect(to, 303);
  });

  for (const [name, { type, body }] of Object.entries(ASSETS)) app.get(`/assets/${name}`, (c) => asset(c, type, body));

  return app;
}

function page(c: Context, path: string): Response | Promise<Response> {
  const language = pickLanguage(getCookie(c, LANGUAGE_COOKIE), c.req.header('accept-language'));
  c.header('content-language', language);
  c.header('vary', 'accept-language, cookie');
  c.header('cache-control', 'no-store');
  c.header('content-security-policy', CONTENT_SECURITY_POLICY);
  c.header('x-content-type-options', 'nosniff');
  c.header('x-frame-options', 'DENY');
  c.header('referrer-policy', 'no-referrer');
  c.header('cross-origin-opener-policy', 'same-origin');
  return c.html(`<!doctype html>${(<Page language={language} path={path} />).toString()}`);
}

/** The address that the page names holds the version, so that what it answers never changes. */
function asset(c: Context, type: string, body: string): Response {
  const etag = `"${CONSOLE_VERSION}"`;
  const current = c.req.query('v') === CONSOLE_VERSION;
  c.header('content-type', type);
  c.header('x-content-type-options', 'nosniff');
  c.header('etag', etag);
  c.header('cache-control', current ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache');
  return c.req.header('if-none-match') === etag ? c.body(null, 304) : c.body(body);
}
