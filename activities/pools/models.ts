import { z } from 'zod';
import { didYouMean } from '../../pipelines/did-you-mean.js';
import { invalidSetting, invalidSettings } from '../../pipelines/invalid-setting.js';
import { MODALITIES } from '../../pipelines/plan/index.js';
import { isDefinedKind, KIND_NAME, STAGE_KINDS, type StageKindName } from '../../pipelines/stages/index.js';
import { headerName } from '../connectors/header-name.js';
import type { Connectors, RegisteredConnector } from '../connectors/registered.js';
import { loadSchema, mistakesOfMemory } from './load-schema.js';
import { rateLimitSchema } from './rate-limit.js';

/**
 * Calls in flight per model and endpoint. Beyond this Triton's Python backend stalls for seconds; calls that wait in
 * the pool instead can still be cancelled, and go to whichever endpoint is free first.
 */
const DEFAULT_CONCURRENCY = 32;
/** Far above any server's batch; a larger number is a typing error. */
const MOST_CONCURRENCY = 4_096;
/** A call that waits longer for others to come is slower than any batch makes it up. */
const MOST_WAIT_MS = 1_000;
/** Texts of one request. */
const MOST_TEXTS = 2_048;

/** Millrace's kinds that a pool can serve. */
const KINDS: readonly string[] = (Object.keys(STAGE_KINDS) as StageKindName[]).filter(
  (kind) => STAGE_KINDS[kind].servedBy === 'pool',
);

const endpoint = z.strictObject({
  /** Address in the connector's form: `host:port` for triton, a base URL ending in `/v1` for openai. */
  url: z.string().min(1),
  /** Label of the device behind it: `cpu0`, `gpu1`. */
  device: z.string().min(1),
  /** Most calls in flight at once. */
  concurrency: z.int().min(1).max(MOST_CONCURRENCY).default(DEFAULT_CONCURRENCY),
  /** Share of the calls, relative to the pool's other endpoints. Default 1. */
  weight: z.number().gt(0).max(1_000).optional(),
  /** Zone of the server. Workers of the same zone (`MILLRACE_ZONE`) prefer it while it has room. */
  zone: z.string().min(1).optional(),
  /** Takes calls only if no other endpoint can; those in flight end there. */
  draining: z.boolean().optional(),
  /** Name in the server's certificate and in the Host header, where the URL has an address. */
  serverName: z.string().min(1).optional(),
});

/** The endpoints of a pool. */
export const endpointsSchema = z
  .array(endpoint)
  .refine((all) => new Set(all.map(({ url }) => url)).size === all.length, 'two endpoints have one url');

/** Where a secret is stored. */
const secret = z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })], {
  error: 'names where the key is, { "env": … } or { "file": … }, and never the key itself',
});

/** Where a key is; one of several parts has each in a variable of its own. */
const key = z.union([...secret.options, z.strictObject({ env: z.record(z.string().min(1), z.string().min(1)) })], {
  error: 'names where the key is, { "env": … } or { "file": … }, and never the key itself',
});

const variant = z.strictObject({
  /** The model's name at the servers. */
  model: z.string().min(1),
  p50Ms: z.number().positive().optional(),
  memoryMiB: z.number().positive().optional(),
  quality: z.number().min(0).max(1).optional(),
});

const pool = z.strictObject({
  /** Name of the connector for the servers' protocol. */
  connector: z.string().min(1),
  /** The model's name at the servers. */
  model: z.string().min(1),
  /** What the model does; its canary is a call of this kind. */
  kind: z.string().refine((kind) => KINDS.includes(kind) || KIND_NAME.test(kind), {
    error: ({ input }) =>
      isDefinedKind(String(input))
        ? 'is not the name of a kind made with defineKind, such as acme/segment'
        : `must be one of ${KINDS.join(', ')}, or a kind made with defineKind${didYouMean(String(input), KINDS)}`,
  }),
  /** At least one, except with `discover: { file }`. */
  endpoints: endpointsSchema.default([]),
  /**
   * How the servers are found, again every few seconds. `dns`: at every address of each endpoint's name; `srv`: at the
   * targets of that name's SRV record; `kubernetes`: at the pods of that service; a file: those that it lists. Absent:
   * the endpoints are the servers.
   */
  discover: z.union([z.enum(['dns', 'srv', 'kubernetes']), z.strictObject({ file: z.string().min(1) })]).optional(),
  /** Most calls per second over all workers, and of each tenant. Absent: no limit, and no overhead. */
  rateLimit: rateLimitSchema.optional(),
  /**
   * For servers that have no batching of their own: workers put calls that are made at the same time into one request. A
   * call waits `waitMs` milliseconds at most, and a request has at most `most` texts. Absent: each call is a request.
   */
  microBatch: z
    .strictObject({
      waitMs: z.number().min(1).max(MOST_WAIT_MS).default(5),
      most: z.int().min(2).max(MOST_TEXTS).default(32),
    })
    .optional(),
  /** Where the key of its servers is stored; it is sent to this pool's endpoints only. */
  apiKey: key.optional(),
  /** Sent with every request: values, or where they are. */
  headers: z
    .record(headerName, z.union([z.string().regex(/^[\x20-\x7e\t]*$/, 'must be printable ASCII'), secret]))
    .optional(),
  /** PEM files: the authority that has signed the servers' certificates, and the client's certificate and key. */
  tls: z
    .strictObject({
      ca: z.string().min(1).optional(),
      cert: z.string().min(1).optional(),
      key: z.string().min(1).optional(),
    })
    .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'needs both cert and key, or neither')
    .optional(),
  /** What the connector has to know of the model beside the address; each connector has a schema of its own. */
  options: z.record(z.string(), z.json()).optional(),
  /**
   * Whether workers repair the model at its servers. `off`: others own the servers; nothing is loaded or unloaded, and
   * no canary runs.
   */
  heal: z.enum(['on', 'off']).default('on'),
  /**
   * The model is loaded when it is called, in place of idle ones that are worth less, where clients may load and unload the servers'
   * models. Absent: it is always loaded.
   */
  load: loadSchema.optional(),
  /**
   * Other ways of serving the model that its servers have, by the variant of their profiles: the model's name there, and what
   * `millrace optimize` has measured. `millrace apply` serves the variant that was placed.
   */
  variants: z.record(z.string().min(1), variant).optional(),
  /** The model's context in tokens, prompt and reply together; agents keep their conversations below it. */
  contextTokens: z.int().min(1).optional(),
  /**
   * Pools of `chat`: which endpoint a call prefers, while that has at most two calls more than the least loaded one.
   * `session`: the same for prompts with the same system message, tools and first turn. `prefix`: the one that was last
   * sent the longest part of the prompt, as prefix-aware routers do. Default `session`.
   */
  affinity: z.enum(['session', 'prefix']).optional(),
  /**
   * What the model takes beside text: `image`, `audio`, `video`, `file`. A stage with other media is refused. Absent:
   * unknown; the server decides.
   */
  modalities: z.array(z.enum(MODALITIES)).optional(),
  /** Price of a million tokens in any currency; used to compute agents' cost. */
  price: z.strictObject({ input: z.number().min(0), output: z.number().min(0) }).optional(),
});
const modelsSchema = z
  .record(
    z.string().min(1),
    pool.refine(({ endpoints, discover }) => endpoints.length > 0 || typeof discover === 'object', {
      path: ['endpoints'],
      message: 'has no endpoint',
    }),
  )
  .superRefine((pools, context) => {
    for (const { path, message } of mistakesOfMemory(pools)) context.addIssue({ code: 'custom', path, message });
  });

/** The models file as it is written. */
export type ModelsFile = z.input<typeof modelsSchema>;
/** The models file: pools by the name that pipelines use. */
export type ModelsConfig = z.output<typeof modelsSchema>;
export type PoolConfig = ModelsConfig[string];
export type EndpointConfig = z.output<typeof endpoint>;

/** The key that was probably meant. */
function suggestionFor(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return '';
  const known = issue.path.length > 1 ? endpoint.shape : pool.shape;
  return didYouMean(issue.keys[0] ?? '', Object.keys(known));
}

/** Checks a models file. Throws `INVALID_SETTING` naming every bad path; `source` is the file's name for the message. */
export function parseModels(value: unknown, source: string): ModelsConfig {
  const parsed = modelsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.') || '(root)',
    message: `${issue.message}${suggestionFor(issue)}`,
  }));
  throw invalidSettings(fields, source);
}

/**
 * The connector of a pool. Throws `INVALID_SETTING` naming the field if there is none of this name, or if it cannot
 * serve the pool's kind, its key or its options.
 */
export function connectorOf(name: string, pool: PoolConfig, connectors: Connectors): RegisteredConnector {
  const { connector: wanted, kind, apiKey } = pool;
  const connector = connectors.get(wanted);
  const known = [...connectors.keys()];
  if (!connector) {
    const listed = `known: ${known.join(', ')}; others are listed in \`connectors\` of the configuration`;
    invalid(`${name}.connector`, `no connector "${wanted}" (${listed})${didYouMean(wanted, known)}`);
  }
  const kinds = [...connector.kinds];
  if (!connector.kinds.has(kind) && !connector.servesKind?.(kind)) {
    invalid(`${name}.kind`, `${wanted} serves ${kinds.join(', ')}, not ${kind}${didYouMean(kind, kinds)}`);
  }
  if (apiKey && !connector.takesKey) invalid(`${name}.apiKey`, `${wanted} sends no key`);
  for (const field of ['tls', 'headers'] as const) {
    if (pool[field] && !connector.takesLink) invalid(`${name}.${field}`, `${wanted} has no such option`);
  }
  if (pool.load && !connector.loadsModels) invalid(`${name}.load`, `${wanted} cannot load and unload models`);
  if (pool.load && pool.heal === 'off') {
    invalid(`${name}.load`, 'does not go with heal: off, which leaves loading and unloading to others');
  }
  if (pool.affinity && kind !== 'chat') invalid(`${name}.affinity`, `is for pools of the kind chat, not ${kind}`);
  connector.check(pool, `${name}.options`);
  if (pool.microBatch && !connector.joins?.(pool)) {
    invalid(
      `${name}.microBatch`,
      `${wanted} sends no several calls of the kind ${kind} as one request with these options`,
    );
  }
  return connector;
}

export function invalid(field: string, message: string): never {
  throw invalidSetting(field, message, 'models');
}
