import { z } from 'zod';
import type { ErrorCode } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { foreignSchema } from '../../../pipelines/json-schema/index.js';
import { promptTemplate } from '../conversation.js';
import { headerName } from '../header-name.js';
import { ANSWER_ROOTS, answerPointer, condition } from './condition.js';
import { type S3Address, s3Address } from './s3/index.js';
import { type Flaw, fileFlaws, flawsOf, pointerProblem, type Template } from './template.js';

/*
 * The description of an API as data: what a pool's `options` of this connector say, and what a preset is made of.
 * docs/reference/servers/http.md explains every member.
 */

/** What templates of a request can see. */
const REQUEST_ROOTS = [
  ...['model', 'kind', 'input', 'with', 'given', 'values', 'call'],
  ...['messages', 'prompt', 'texts', 'pairs', 'tensor'],
];
/** What templates of an answer can see besides. */
const ALL_ROOTS = [...REQUEST_ROOTS, ...ANSWER_ROOTS];
const JOB_ROOTS = [...REQUEST_ROOTS, 'job'];

const flawed = (check: (value: Json) => readonly Flaw[]) =>
  z.json().superRefine((value, context) => {
    for (const { path, message } of check(value as Json)) context.addIssue({ code: 'custom', path, message });
  }) as unknown as z.ZodType<Template>;

const template = (roots: readonly string[]) => flawed((value) => flawsOf(value, roots));

/** A template, or `{ "$file": "/input/image" }`: the file's bytes, or without a file what `else` is. */
const templateOrFile = (roots: readonly string[]) =>
  flawed((value) => {
    if (!isJsonObject(value) || !Object.hasOwn(value, '$file')) return flawsOf(value, roots);
    const wrong = (message: string, name: string): Flaw => ({ path: [name], message });
    const problem = pointerProblem(value.$file, roots);
    const unknown = Object.keys(value).find((name) => !['$file', 'as', 'sampleRate', 'name', 'else'].includes(name));
    return [
      ...(problem === undefined ? [] : [wrong(problem, '$file')]),
      ...(unknown === undefined ? [] : [wrong('may not stand beside $file', unknown)]),
      ...fileFlaws(value, wrong),
      ...(value.else === undefined ? [] : flawsOf(value.else, roots, ['else'])),
    ];
  });

const path = z.string().min(1).max(2_048);
const named = <T extends z.ZodType>(value: T) => z.record(z.string().min(1).max(256), value);

const requestOf = (roots: readonly string[]) =>
  z.strictObject({
    /** Default POST. */
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).optional(),
    /**
     * Below the endpoint's URL. `{name}` is the model, one of `values`, or a pointer (`{/input/id}`), encoded for a path. Of
     * several the first whose parts all have a value.
     */
    path: z.union([path, z.array(path).min(1).max(8)]).optional(),
    /** In place of `path`: a URL that the server has given, of the endpoint's own origin. */
    url: template(roots).optional(),
    query: named(template(roots)).optional(),
    headers: z.record(headerName, template(roots)).optional(),
    /** The body: at most one of these. */
    json: template(roots).optional(),
    form: named(template(roots)).optional(),
    multipart: named(templateOrFile(roots)).optional(),
    /** A file, or a text, as it is. */
    bytes: templateOrFile(roots).optional(),
    /** Of `bytes`. Default: the file's own type, or text/plain. */
    contentType: z
      .string()
      .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(;[\x20-\x7e]*)?$/, 'is not a media type')
      .optional(),
  });

export type RequestTemplate = z.output<ReturnType<typeof requestOf>>;

/** Where a state or an event says how much is done: a number from 0 to `of`, default 1. */
const progress = z.strictObject({ at: answerPointer, of: z.number().positive().default(1) });
export type Progress = z.output<typeof progress>;

const stream = z.strictObject({
  /** Server-sent events, lines of JSON, or text as it arrives. */
  as: z.enum(['sse', 'ndjson', 'text']),
  /** What the stream is in: frames of AWS' event streams, whose payloads are its bytes. */
  framing: z.literal('aws-event-stream').optional(),
  /** Names of the server-sent events that count. Default: all. */
  events: z.array(z.string()).min(1).max(32).optional(),
  /** Where an event has text: the first of these that is one. */
  delta: z.union([answerPointer, z.array(answerPointer).min(1).max(8)]).optional(),
  /** Text of an event is what is new, or all so far. */
  mode: z.enum(['delta', 'whole']).default('delta'),
  /** Events whose text is no part of the answer. */
  skip: condition.optional(),
  progress: progress.optional(),
  /** The last event. A stream that ends without one is broken. Absent: `endData`, or the connection's end. */
  end: condition.optional(),
  /** Data of a last event that is no JSON: nothing is read after it. */
  endData: z.string().max(64).default('[DONE]'),
  /** The event with the token counts, where that is not the last one. It is awaited after that for a second. */
  usage: condition.optional(),
});

const origin = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:\/\//.test(text) && new URL(text).origin === text, {
    error: 'must be an origin: https://files.example.org',
  });

const response = z.strictObject({
  /** `auto` (default): JSON, or text where the server says so. `bytes`: audio of a `synthesize` stage, the file of a `generate` stage. */
  as: z.enum(['auto', 'json', 'text', 'bytes']).optional(),
  stream: stream.optional(),
  /** The stage's output, by default the whole body; of a stream with the last event as `/body` and all text as `/text`. */
  output: template(ALL_ROOTS).optional(),
  /** `generate`: other origins than the endpoint's that files are fetched from. They get no credential. */
  fileOrigins: z.array(origin).max(16).optional(),
  /** Of logits of a `classify` stage. */
  activation: z.enum(['none', 'softmax', 'sigmoid']).optional(),
  usage: z
    .strictObject({
      inputTokens: answerPointer.optional(),
      outputTokens: answerPointer.optional(),
    })
    .optional(),
});

const ms = z.int().min(10).max(3_600_000);

const job = z.strictObject({
  /** Identifies the job in the answer to its submission: a text, a number, or an object of several. */
  id: template(ALL_ROOTS),
  /** Asks for its state. Its templates see `/job`. */
  poll: requestOf(JOB_ROOTS),
  /** Between two questions. Default 1000, doubled up to ten times as much. */
  everyMs: ms.default(1_000),
  /** The job has succeeded. */
  done: condition,
  /** It has failed, or was cancelled. */
  failed: condition.optional(),
  progress: progress.optional(),
  /** Fetches the result. Absent: the last answer about its state is the result. */
  result: requestOf(JOB_ROOTS).optional(),
  /** Asked for a job that has failed: an answer whose status is an error's says why. */
  reason: requestOf(JOB_ROOTS).optional(),
  /** Ends it when the call is cancelled. */
  cancel: requestOf(JOB_ROOTS).optional(),
  /** Removes the result when no attempt will ask for it again. Absent: the server does by itself. */
  remove: requestOf(JOB_ROOTS).optional(),
  /** The server calls an address of the gateway when the job has ended, which the request gives it (`/call/callback`). */
  callback: z.literal(true).optional(),
});

const s3Place = z.string().transform((text, context): S3Address => {
  const address = s3Address(text);
  if (address) return address;
  context.addIssue({ code: 'custom', message: 'must be s3://bucket or s3://bucket/prefix' });
  return z.NEVER;
});

/**
 * A job whose input and output are objects of S3: the request's body is written as one, the request names it, as
 * `/call/object`, and what comes of it is an object that is asked for. Presets have some of the members, pools the others.
 */
const objects = z.strictObject({
  /** Inputs are written below this and the tenant's name. Required. */
  inputs: s3Place.optional(),
  /** Where outputs and failures may be. Default: in the bucket of `inputs`. */
  outputs: z.array(s3Place).min(1).max(8).optional(),
  /** The address of the output in the answer to the request. Required. */
  output: template(ALL_ROOTS).optional(),
  /** That of the failure. Absent, or without a value: a failure is only a job that does not end. */
  failure: template(ALL_ROOTS).optional(),
  /** Whether an input is deleted when its job has ended, or its call was cancelled. */
  deleteInputs: z.boolean().optional(),
  /** An origin in place of Amazon S3's own, which has buckets in paths. */
  url: origin.optional(),
  /** Between two questions. Default 1000, growing to ten times as much. */
  everyMs: ms.optional(),
});

/** `objects` of a complete description. */
export type Objects = z.output<typeof objects> & { readonly inputs: S3Address; readonly output: Template };

/** Codes that a rule may give. */
export const RULE_CODES = [
  'BACKEND_UNAVAILABLE',
  'BACKEND_OVERLOADED',
  'BACKEND_RATE_LIMITED',
  'BACKEND_TIMEOUT',
  'BACKEND_BROKEN',
  'BACKEND_ERROR',
  'BACKEND_REJECTED',
  'BACKEND_UNAUTHORIZED',
  'MODEL_NOT_FOUND',
  'CONTEXT_TOO_LONG',
  'INVALID_OUTPUT',
] as const satisfies readonly ErrorCode[];

const status = z.union([z.int().min(100).max(599), z.enum(['2xx', '3xx', '4xx', '5xx'])]);
const rule = z.strictObject({
  /** Default: every status that is an error's. With 2xx the rule is about answers that look successful, and events. */
  status: z.union([status, z.array(status).min(1).max(32)]).default(['3xx', '4xx', '5xx']),
  when: z.union([condition, z.array(condition).min(1).max(8)]).optional(),
  code: z.enum(RULE_CODES),
  /** With `BACKEND_UNAVAILABLE`: no model has received the call; the stage waits and uses no attempt. */
  unsent: z.literal(true).optional(),
  /** The wait, where the server names none. */
  retryAfterMs: ms.optional(),
});
export type Rule = z.output<typeof rule>;

const value = z.union([z.string().max(1_024), z.number(), z.boolean()]);

const scopeName = z.string().regex(/^[a-z0-9-]{1,64}$/, 'is not a name of AWS');

/** AWS Signature Version 4, by a key of several parts. The region is the value `region` where it is absent. */
const signature = z.strictObject({
  sign: z.literal('aws-v4'),
  region: scopeName.optional(),
  service: scopeName.default('sagemaker'),
});

/** Access tokens of a Google service account, whose JSON is the key. */
const googleToken = z.strictObject({
  token: z.literal('google'),
  scope: z.string().min(1).max(1_024).default('https://www.googleapis.com/auth/cloud-platform'),
});

/** Members of a description, each of which a pool's options may set. */
const members = {
  request: requestOf(REQUEST_ROOTS).optional(),
  response: response.optional(),
  job: job.optional(),
  /** In place of `job`, for jobs whose input and output are objects of S3. */
  objects: objects.optional(),
  /** Sent with every request. */
  headers: z.record(headerName, template(REQUEST_ROOTS)).optional(),
  /** How the pool's key is sent: as a bearer token, as user and password, in a header, as a signature or for a token. Default `bearer`. */
  credential: z
    .union([
      z.enum(['bearer', 'basic']),
      z.strictObject({ header: headerName, prefix: z.string().max(64).default('') }),
      signature,
      z.strictObject({ sign: z.literal('pai-eas') }),
      googleToken,
    ])
    .optional(),
  /** Rules about failed answers; the first that fits counts, else the status alone. */
  errors: z.array(rule).max(64).optional(),
  /** Where a failed answer has its message: the first of these that has something. */
  message: z.array(answerPointer).min(1).max(16).optional(),
  /** Tells whether the server, or the model, is ready. */
  health: z.strictObject({ path, ready: condition.optional() }).optional(),
  /** Tells which weights the model has: what is at these pointers of an answer. */
  identity: z.strictObject({ path, at: z.array(answerPointer).min(1).max(16) }).optional(),
  /** The input of the smallest call that runs the model. Default: by kind, or the health path. */
  canary: z
    .strictObject({ input: z.record(z.string(), z.json()), with: z.record(z.string(), z.json()).optional() })
    .optional(),
  /** JSON Schema of the options of a `generate` stage, which templates see as `/with/options`. Absent: it has none. */
  accepts: foreignSchema.optional() as z.ZodOptional<z.ZodType<JsonObject>>,
  /** How a conversation becomes `/prompt`. Default `plain`. */
  prompt: promptTemplate.optional(),
  /** Most texts of one request of an `embed` stage. Default 64. */
  batch: z.int().min(1).max(2_048).optional(),
};

/** A description, or the part of one that a pool's options have. */
export const descriptionSchema = z.strictObject(members);
export type Description = z.output<typeof descriptionSchema>;
export type DescriptionInput = z.input<typeof descriptionSchema>;

/** `options` of a pool, before its preset is known. */
export const optionsShape = z.strictObject({
  /** A description that Millrace has. What the options say themselves replaces its members. */
  preset: z.string().optional(),
  /** What the preset's, or the description's own, paths and templates name: `{version}`, `/values/version`. */
  values: z.record(z.string().min(1).max(64), value).optional(),
  ...members,
});
export type OptionsShape = z.output<typeof optionsShape>;

/** A description of one stage kind, complete. */
export interface Api extends Omit<Description, 'request' | 'response' | 'errors' | 'objects'> {
  readonly kind: string;
  readonly preset?: string | undefined;
  readonly values: Readonly<Record<string, string | number | boolean>>;
  /** Absent: a pool of the kind `http` without a description of its requests; the stages have these. */
  readonly request?: RequestTemplate | undefined;
  readonly response: z.output<typeof response>;
  readonly objects?: Objects | undefined;
  readonly errors: readonly Rule[];
}
