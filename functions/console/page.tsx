/** The console's one page: everything that does not depend on data. The script fills `#app`. */
import { CONSOLE_VERSION } from './client.gen.ts';
import { DICTIONARIES, LANGUAGE_NAMES, LANGUAGES, type Language } from './i18n/languages.ts';

/** @param path of the page, which the language switch comes back to */
export function Page({ language, path }: { readonly language: Language; readonly path: string }) {
  const t = DICTIONARIES[language];
  return (
    <html lang={language}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>{`${t.title} · ${t.tagline}`}</title>
        <link rel="icon" href={`/assets/icon.svg?v=${CONSOLE_VERSION}`} type="image/svg+xml" />
        <link rel="stylesheet" href={`/assets/console.css?v=${CONSOLE_VERSION}`} />
        <script type="module" src={`/assets/console.js?v=${CONSOLE_VERSION}`} />
      </head>
      <body>
        <a class="skip" href="#app">
          {t.skip}
        </a>
        <header class="top">
          <a class="brand" href="/">
            <img src={`/assets/icon.svg?v=${CONSOLE_VERSION}`} alt="" width="28" height="28" />
            <span>{t.title}</span>
          </a>
          <div class="top-end">
            <div id="account" />
            <nav class="languages" aria-label={t.language}>
              {LANGUAGES.map((each) => (
                <a
                  href={`/language/${each}?to=${path}`}
                  lang={each}
                  hreflang={each}
                  aria-current={each === language ? 'true' : undefined}
                >
                  {LANGUAGE_NAMES[each]}
                </a>
              ))}
            </nav>
          </div>
        </header>
        <div id="nudge" />
        <div id="notices" role="status" aria-live="polite" />
        <div id="announcer" class="visually-hidden" role="status" aria-live="polite" />
        <main id="app" tabindex={-1}>
          <p class="loading">{t.loading}</p>
        </main>
        <noscript>
          <p class="empty">{t.noScript}</p>
        </noscript>
      </body>
    </html>
  );
}
