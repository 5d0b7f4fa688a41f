import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const listed = z.union([scalar, z.array(scalar)]);
const input = z.object({
  /** Values for the `{name}` parts of the path. */
  path: z.record(z.string(), scalar).optional(),
  /** A list repeats its name, or is one value with commas where the options say so. */
  query: z.record(z.string(), listed).optional(),
  /** Sent as JSON. */
  body: z.json().optional(),
});
const output = z.object({ status: z.int(), body: z.json() });

/** Input of `http`: values for `{name}` in the path, the query, and a body that is sent as JSON. In the query a list repeats its name. */
export interface HttpInput {
  path?: Record<string, string | number | boolean> | undefined;
  query?: Record<string, string | number | boolean | readonly (string | number | boolean)[]> | undefined;
  body?: unknown;
}
/** Output of `http`: the HTTP status, below 400, and the parsed JSON body. */
export interface HttpOutput<Body> {
  status: number;
  body: Body;
}

/**
 * Calls a JSON API whose base URL is a pool's endpoint. A status of 400 or above is an error; 429 and 5xx are retried.
 * A call that is not idempotent needs `retry: { attempts: 1 }`; all attempts of a stage send the same
 * `Idempotency-Key`.
 */
export const http = <Body>(options: {
  /** Name of the pool. */
  service: string;
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the base URL, e.g. `/v1/forecast/{city}`. */
  path: string;
  /** Schema of the response body. */
  output: z.ZodType<Body>;
}): StageUse<HttpInput, HttpOutput<Body>> => ({
  kind: 'http',
  model: options.service,
  with: { method: options.method ?? 'GET', path: options.path },
  input: input as unknown as z.ZodType<HttpInput>,
  output: z.object({ status: z.int(), body: options.output }) as unknown as z.ZodType<HttpOutput<Body>>,
});

export const httpKind: StageKind = { input, output, ...TRAITS.http };
