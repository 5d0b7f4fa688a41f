import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';

const schema = z.custom<JsonObject>(isJsonObject, 'must be a JSON Schema');

/** What `python -m millrace manifest` prints. */
const manifest = z.object({
  protocol: z.literal(1, 'must be 1: this release of Millrace reads no other; upgrade the older of the two'),
  queue: z.string().min(1),
  stages: z
    .array(
      z
        .object({
          type: z.string().regex(/^[A-Za-z][A-Za-z0-9._-]{0,62}$/, 'is not the name of a stage'),
          version: z.string().optional(),
          /** Task queue of this version; without one, the common queue. */
          queue: z.string().min(1).optional(),
          heartbeat: z
            .string()
            .regex(/^[1-9]\d*(s|m)$/, 'is not a time such as 30s')
            .optional(),
          description: z.string().optional(),
          input: schema,
          output: schema.optional(),
          /** Of a stage that yields, in place of `output`. */
          entry: schema.optional(),
        })
        .refine(({ output, entry }) => (output === undefined) !== (entry === undefined), {
          message: 'must be a JSON Schema; a stage that yields has an entry instead',
          path: ['output'],
        }),
    )
    .min(1),
});

export type Manifest = z.output<typeof manifest>;

/** Throws `INVALID_INPUT` naming the place in the manifest. */
export function readManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('manifest', 'is not JSON; make it with: python -m millrace manifest MODULE');
  }
  const parsed = manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message } = { path: [], message: '' }] = parsed.error.issues;
  throw wrong(path.join('.') || 'manifest', message);
}

export const wrong = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', `${field}: ${message}`, { fields: [{ field, message }] });
