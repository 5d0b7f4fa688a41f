import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { invalidSettings } from '../../pipelines/invalid-setting.js';

const MEBIBYTE = 1024 * 1024;

/** Upper bounds of what calls use; a tool may ask for less. */
const limits = {
  /** A caller waits; below the 5 minutes that Node waits for the headers of an answer. */
  timeMs: z.int().min(1).max(240_000).default(10_000),
  /** Tables of some ten thousand rows. */
  memoryBytes: z
    .int()
    .min(4 * MEBIBYTE)
    .max(1024 * MEBIBYTE)
    .default(64 * MEBIBYTE),
  /** As much as an agent takes of a result at most. */
  outputCharacters: z.int().min(100).max(1_000_000).default(50_000),
  /** Of the files that a call reads, and of those that it makes. */
  fileBytes: z
    .int()
    .min(0)
    .max(32 * MEBIBYTE)
    .default(8 * MEBIBYTE),
  /** Calls at once on a worker: each takes a core. */
  concurrency: z
    .int()
    .min(1)
    .max(256)
    .default(() => Math.min(4, availableParallelism())),
  /** Calls of a tenant at once on a worker. Default: half of `concurrency`, so that others are served. */
  tenantConcurrency: z.int().min(1).optional(),
};

/** JavaScript, in a thread of the worker. */
const quickjs = z.strictObject({ engine: z.literal('quickjs'), ...limits });

/** A service of the operator's. */
const service = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), z.string()).default({}),
  languages: z.array(z.string().min(1)).min(1),
  ...limits,
});

const sandboxesSchema = z.record(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), z.union([quickjs, service]));

/** The file of sandboxes: what each is, by the name that pipelines use. It may hold secrets; a plan never does. */
export type SandboxesConfig = z.output<typeof sandboxesSchema>;
export type SandboxConfig = SandboxesConfig[string];
export type ServiceConfig = z.output<typeof service>;

/** Checks a file of sandboxes. Throws `INVALID_SETTING` naming every bad path; `source` is the file's name. */
export function parseSandboxes(value: unknown, source: string): SandboxesConfig {
  const parsed = sandboxesSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.flatMap((issue) => fieldsOf(issue));
  throw invalidSettings(fields, source);
}

/** Of a sandbox that is neither of the two, what is wrong as the one that it is meant to be. */
function fieldsOf(issue: z.core.$ZodIssue): { field: string; message: string }[] {
  const { path, message } = issue;
  if (issue.code !== 'invalid_union' || issue.errors.length === 0)
    return [{ field: path.join('.') || '(root)', message }];
  const [ofQuickjs = [], ofService = []] = issue.errors;
  const isService = ofQuickjs.some(
    (inner) => inner.code === 'unrecognized_keys' && inner.keys.some((key) => key in service.shape),
  );
  return (isService ? ofService : ofQuickjs).map((inner) => ({
    field: [...path, ...inner.path].join('.'),
    message: inner.message,
  }));
}
