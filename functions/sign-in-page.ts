/**
 * The page behind a one-time sign-in link. Opening it uses nothing up, whatever fetches it: the secret is in the fragment,
 * and only the script's POST, from a page that a person sees, spends it.
 */
import { Hono } from 'hono';

const TEXT = {
  en: {
    title: 'Sign in to Refloat',
    button: 'Sign in',
    busy: 'Signing in…',
    missing: 'This address holds no sign-in secret. Open the whole link.',
    failed: 'The server cannot be reached. Try again.',
    noScript: 'Signing in needs JavaScript.',
  },
  ru: {
    title: 'Вход в Refloat',
    button: 'Войти',
    busy: 'Выполняется вход…',
    missing: 'В этом адресе нет секрета для входа. Откройте ссылку целиком.',
    failed: 'Сервер недоступен. Попробуйте ещё раз.',
    noScript: 'Для входа нужен JavaScript.',
  },
} as const;

const SCRIPT = `
const button = document.querySelector('button');
const message = document.querySelector('output');
const secret = location.hash.slice(1);
async function signIn() {
  button.disabled = true;
  message.textContent = button.dataset.busy;
  try {
    const response = await fetch('/api/session', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token: secret }),
    });
    if (response.ok) return location.replace('/');
    const problem = await response.json();
    message.textContent = problem.detail + '. ' + problem.hint;
  } catch {
    message.textContent = button.dataset.failed;
    button.disabled = false;
  }
}
button.addEventListener('click', signIn);
if (secret === '') { button.disabled = true; message.textContent = button.dataset.missing; }
else if (document.visibilityState === 'visible' && !document.prerendering) signIn();
`;

const STYLE =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:20vh auto;padding:0 1rem;text-align:center;color-scheme:light dark}' +
  'button{font:inherit;padding:.6rem 1.6rem;border-radius:.4rem}output{display:block;margin-top:1rem;min-height:3em}';

export function signInApp(): Hono {
  const app = new Hono();
  app.get('/sign-in', (c) => {
    const language = /^\s*ru\b/i.test(c.req.header('accept-language') ?? '') ? 'ru' : 'en';
    const text = TEXT[language];
    c.header(
      'content-security-policy',
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    c.header('cache-control', 'no-store');
    c.header('vary', 'accept-language');
    return c.html(
      `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
        `<meta name="robots" content="noindex"><title>${text.title}</title><link rel="stylesheet" href="/sign-in.css"></head><body><h1>${text.title}</h1>` +
        `<button type="button" data-busy="${text.busy}" data-missing="${text.missing}" data-failed="${text.failed}">${text.button}</button>` +
        `<output role="status"></output><noscript>${text.noScript}</noscript><script type="module" src="/sign-in.js"></script></body></html>`,
    );
  });
  app.get('/sign-in.js', (c) => c.body(SCRIPT, 200, { 'content-type': 'text/javascript; charset=utf-8' }));
  app.get('/sign-in.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }));
  return app;
}
