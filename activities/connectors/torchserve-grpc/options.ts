import { z } from 'zod';
import type { PoolOptions } from '../connector.js';
import { type Api, describedBy, optionsShape } from '../http/index.js';

/** The preset of the connector `http` whose requests, answers and errors these pools have. */
const PRESET = 'torchserve';

/** What a request of gRPC has: one body. Its model and version are those of the pool. */
const BODY: ReadonlySet<string> = new Set(['json', 'bytes', 'contentType']);

/** What pools may say besides the preset: of REST's options those that are about bodies, answers and failures. */
const shape = optionsShape.pick({
  values: true,
  request: true,
  response: true,
  errors: true,
  message: true,
  canary: true,
  prompt: true,
  batch: true,
});

export const torchServeOptions = (kind: string): z.ZodType<Api & PoolOptions> =>
  shape.transform((given, context) => {
    const other = Object.keys(given.request ?? {}).find((member) => !BODY.has(member));
    if (other !== undefined) {
      const message = 'is of HTTP: a request of gRPC has json, or bytes';
      context.addIssue({ code: 'custom', path: ['request', other], message });
      return z.NEVER;
    }
    return describedBy(kind, { ...given, preset: PRESET }, context);
  }) as unknown as z.ZodType<Api & PoolOptions>;
