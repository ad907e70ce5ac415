/** Figures and moments in the reader's language and time zone. */
import type { Dictionary } from '../i18n/en.ts';
import type { Language } from '../i18n/languages.ts';

export interface Format {
  /** A count. */
  number(count: number): string;
  /** Bytes with a binary unit. */
  bytes(bytes: number): string;
  /** Milliseconds, with the unit that fits. */
  duration(ms: number): string;
  /** Date and time to the minute, or to the second where two may lie close. */
  time(time: string): string;
  /** "3 minutes ago"; further away than a month: the date. */
  ago(time: string): string;
  list(items: readonly string[]): string;
}

const AGO: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

export function formatFor(language: Language, t: Dictionary): Format {
  // "en" alone means the order of the United States; the reader's own region is better known by the browser.
  const locale = navigator.languages.find((each) => each.toLowerCase().split('-', 1)[0] === language) ?? language;
  const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const list = new Intl.ListFormat(language, { type: 'conjunction' });
  const number = (value: number, digits: number) =>
    value.toLocaleString(language, { maximumFractionDigits: digits, minimumFractionDigits: digits });
  const time = (text: string) => moment.format(new Date(text));
  return {
    time,
    number: (count) => number(count, 0),
    bytes: (bytes) => {
      let value = bytes;
      let unit = 0;
      while (value >= 1023.5 && unit < t.units.length - 1) {
        value /= 1024;
        unit += 1;
      }
      return `${number(value, unit === 0 || value >= 100 ? 0 : 1)}\u00a0${t.units[unit]}`;
    },
    duration: (ms) => {
      const { duration } = t;
      if (ms < 1000) return `${number(ms, 0)}\u00a0${duration.ms}`;
      if (ms < 60_000) return `${number(ms / 1000, ms < 10_000 ? 2 : 1)}\u00a0${duration.s}`;
      const minutes = Math.floor(ms / 60_000);
      if (minutes < 60) return `${minutes}\u00a0${duration.min} ${Math.floor((ms % 60_000) / 1000)}\u00a0${duration.s}`;
      return `${Math.floor(minutes / 60)}\u00a0${duration.h} ${minutes % 60}\u00a0${duration.min}`;
    },
    ago: (text) => {
      const seconds = (Date.parse(text) - Date.now()) / 1000;
      if (Math.abs(seconds) > 30 * 86_400) return time(text);
      for (const [unit, size] of AGO)
        if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
      return t.ago.justNow;
    },
    list: (items) => list.format(items),
  };
}
