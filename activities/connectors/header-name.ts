import { z } from 'zod';

/** Headers that describe the connection or the body. */
const OF_TRANSPORT: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'content-length', 'content-type', 'transfer-encoding', 'keep-alive', 'upgrade', 'te'],
  ...['trailer', 'expect'],
]);

/** Name of a header that a pool may set. */
export const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'is not the name of a header')
  .refine((name) => !OF_TRANSPORT.has(name.toLowerCase()), 'is a header that the connection sets');
