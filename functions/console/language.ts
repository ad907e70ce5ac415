/** Which language a request gets: the one that was chosen with the switch, else the best match of `Accept-Language`. */
import { isLanguage, type Language } from './i18n/languages.ts';

export const LANGUAGE_COOKIE = 'refloat-language';
const FALLBACK: Language = 'en';

/** @param chosen the cookie's value, if there is one; @param accepted the header `Accept-Language` (RFC 9110, 12.5.4) */
export function pickLanguage(chosen: string | undefined, accepted: string | undefined): Language {
  if (isLanguage(chosen)) return chosen;
  const ranges = (accepted ?? '').slice(0, 1024).split(',').map(parseRange);
  // A stable sort: of two equal weights the first one listed wins.
  ranges.sort((a, b) => b.weight - a.weight);
  for (const { tag, weight } of ranges) {
    if (weight <= 0) break;
    const language = tag.split('-', 1)[0];
    if (isLanguage(language)) return language;
    if (tag === '*') return FALLBACK;
  }
  return FALLBACK;
}

function parseRange(text: string): { tag: string; weight: number } {
  const [tag = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith('q='));
  const weight = quality === undefined ? 1 : Number(quality.slice(2));
  return { tag, weight: Number.isFinite(weight) ? weight : 0 };
}
