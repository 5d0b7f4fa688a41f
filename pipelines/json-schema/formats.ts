import { z } from 'zod';

/** Formats that are checked; the others are informative only. Each check takes time linear in the text. */
const FORMATS: Readonly<Record<string, z.ZodType>> = {
  date: z.iso.date(),
  'date-time': z.iso.datetime({ offset: true }),
  email: z.email(),
  ipv4: z.ipv4(),
  ipv6: z.ipv6(),
  uri: z.url(),
  uuid: z.guid(),
};

/** Maximum length of a text with a format, in UTF-16 units: that of an address. */
export const LONGEST_FORMATTED = 4_096;

/** Whether a format is checked. */
export const isFormat = (format: string): boolean => Object.hasOwn(FORMATS, format);

export const fitsFormat = (format: string, text: string): boolean =>
  !isFormat(format) || (text.length <= LONGEST_FORMATTED && FORMATS[format]?.safeParse(text).success === true);
