import { z } from 'zod';

/** Formats that are checked; the others say something to people and models only. Each takes time linear in the text. */
const FORMATS: Readonly<Record<string, z.ZodType>> = {
  date: z.iso.date(),
  'date-time': z.iso.datetime({ offset: true }),
  email: z.email(),
  ipv4: z.ipv4(),
  ipv6: z.ipv6(),
  uri: z.url(),
  uuid: z.guid(),
};

/** Longest text of a format: an address. */
const LONGEST = 4_096;

export const fitsFormat = (format: string, text: string): boolean =>
  !Object.hasOwn(FORMATS, format) || (text.length <= LONGEST && FORMATS[format]?.safeParse(text).success === true);
