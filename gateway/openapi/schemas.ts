import { z } from 'zod';
import { jsonSchema } from '../../pipelines/definition/schema.js';
import { ERRORS } from '../../pipelines/errors.js';
import { isJsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { Schema } from './route-doc.js';

/** The gateway's responses as zod schemas; each becomes the component of the same name. */
const time = z.iso.datetime().describe('ISO 8601, UTC');
const anyObject = z.record(z.string(), z.unknown());
const field = z.object({
  field: z.string().describe('Path of the field in the request, or the name of a header'),
  message: z.string(),
});
const codes = Object.keys(ERRORS) as [string, ...string[]];
const code = z.enum(codes).describe('An error code (docs/reference/errors.md)');
const failure = z.object({ code, message: z.string() });
const cache = z.enum(['off', 'hit', 'miss', 'shared', 'bypass']);

const artifact = z.object({
  uri: z.string().describe('artifact://<tenant>/<sha256>'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  mime: z.string(),
  bytes: z.int().min(0),
  durationMs: z.number().optional(),
  sampleRate: z.number().optional(),
  channels: z.number().optional(),
  href: z.string().optional().describe('Path of the bytes on this gateway'),
});

const decided = {
  approved: z.boolean(),
  by: z.string().describe('The name that came with the decision, `person`, or `timeout`'),
  actor: z
    .string()
    .optional()
    .describe('The authenticated caller: key:<id>, or user:<name> if a proxy or a token names the user'),
  scope: z
    .enum(['run', 'session'])
    .optional()
    .describe('The decision also covers later calls of the tool, in this run or its session'),
  grantedAt: time.optional().describe('When the session’s approval that covers this call was given'),
};
const about = z.string().optional().describe('Hex sha256 of the subject of the decision');
const stage = z.object({
  stage: z.string(),
  kind: z.string(),
  connector: z.string(),
  model: z.string(),
  device: z.string(),
  status: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled', 'skipped']),
  count: z.object({ done: z.int(), started: z.int() }).optional(),
  endpoint: z.string().optional(),
  attempt: z.int().min(1).optional(),
  cache: cache.optional(),
  cachedBy: z
    .object({
      tier: z.enum(['exact', 'guard', 'verifier', 'entailment']),
      similarity: z.number().optional(),
      score: z.number().optional(),
      entailment: z.number().optional().describe('How surely each of the two texts entails the other'),
      bound: z.number().optional().describe('Upper 90 % bound of the stage’s error rate'),
      entry: z.string(),
    })
    .optional()
    .describe('How a cached answer was found'),
  queueMs: z.number().optional(),
  runMs: z.number().optional(),
  conversions: z.array(z.string()).optional(),
  hedged: z.literal(true).optional(),
  resumed: z.literal(true).optional().describe('Some results come from the record of the run that this one resumes'),
  usage: z.record(z.string(), z.number()).optional().describe('Tokens, and their cost where the pool has a price'),
  doing: z
    .string()
    .optional()
    .describe('Current activity of an agent, or what the stage waits for: waiting for assistant, loading assistant'),
  instead: z.string().optional(),
  decisions: z
    .array(z.object({ path: z.string(), ...decided, about }))
    .optional()
    .describe('Decisions of its waits, the latest last'),
  shortened: z
    .literal(true)
    .optional()
    .describe('It has had more decisions or calls, or decisions with more in them: the table has a largest size'),
  error: failure.optional(),
});

const wait = z.object({
  nonce: z.string().describe('Identifies this wait; required in the decision'),
  stage: z.string(),
  path: z.string().describe('Path of the stage in the run'),
  subject: z.string().describe('Subject of the decision, as text'),
  call: z
    .object({
      tool: z.string(),
      arguments: anyObject.optional().describe('Omitted if they are long'),
      digest: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .describe('Hex sha256 of the canonical JSON (RFC 8785) of the arguments'),
    })
    .optional()
    .describe('The tool call of an agent that would be executed'),
  question: z
    .object({
      server: z
        .string()
        .optional()
        .describe('Name of the MCP server that asks. Absent: an `approve` stage with a form'),
      tool: z.string().optional().describe('The server’s name of the tool that was called'),
      message: z.string().describe('The question, as the server or the stage words it'),
      schema: anyObject.optional().describe('JSON Schema of the fields of its form'),
      url: z.string().optional().describe('Where the server wants the person to go'),
    })
    .optional()
    .describe('A question: approving answers it, with `content`, rejecting declines'),
  session: z
    .string()
    .optional()
    .describe('The session of the agent that makes the call: an approval may have the scope `session`'),
  since: time,
  until: time.describe('When the default decision applies, or the run fails if there is none'),
  otherwise: z.boolean().describe('The default decision, which applies at that time'),
  shortened: z
    .literal(true)
    .optional()
    .describe('Only the beginning of its texts is there, or its arguments or the schema of its question are left out'),
});

export const runDocument = z.object({
  id: z.string(),
  pipeline: z.string(),
  version: z.string().describe('Version of the run’s plan'),
  tenant: z.string(),
  status: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
  createdAt: time,
  endedAt: time.optional(),
  input: anyObject.optional(),
  output: anyObject.optional(),
  stages: z.array(stage).optional().describe('Absent while no worker is available'),
  usage: z
    .record(z.string(), z.number())
    .optional()
    .describe('inputTokens and outputTokens of the run and its child runs, and cost by the prices of the pools'),
  waiting: z.array(wait).optional().describe('Open approvals of the run and its child runs, while it is running'),
  error: failure
    .extend({
      stage: z.string().optional(),
      fields: z.array(field).optional(),
      at: z.string().optional().describe('Where a function of the pipeline threw the error: pipelines.ts:12:5'),
      retryAfterMs: z
        .number()
        .optional()
        .describe('How long the model server asked to wait, counted from the end of the run'),
    })
    .optional(),
  resumedFrom: z.string().optional().describe('The run that this one resumes'),
  resumedAs: z.string().optional().describe('The run that resumes this one'),
  links: z.object({ self: z.string(), ui: z.string().describe('The run’s page in the Temporal UI') }),
});

const problem = z.object({
  type: z.string().describe('urn:millrace:error:<code>'),
  title: z.string().describe('One sentence, the same for every occurrence of the code'),
  status: z.int(),
  detail: z.string().describe('What happened this time'),
  code,
  instance: z.string().describe('Path of the request'),
  requestId: z.string().describe('Id of the request in the gateway’s log'),
  errors: z.array(field).optional().describe('The offending fields or headers'),
  run: runDocument.optional().describe('The failed run, if the caller waited for it'),
});

const pipelineDocument = z.object({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  input: anyObject.describe('JSON Schema (2020-12)'),
  output: anyObject.describe('JSON Schema (2020-12)'),
});

const ofStage = {
  stage: z.string().describe('The stage’s id'),
  path: z.string().describe('The stage with the items and rounds that contain it: chunks[3]/transcribe'),
  attempt: z.int().min(1),
};
const ofCall = {
  ...ofStage,
  tool: z.string(),
  number: z.int().min(0).describe('Position of the call in the agent’s toolCalls'),
};
const runEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('stage.started'), ...ofStage, kind: z.string(), model: z.string() }),
  z.object({ type: z.literal('stage.delta'), ...ofStage, text: z.string() }),
  z.object({ type: z.literal('stage.reasoning'), ...ofStage, text: z.string() }),
  z.object({ type: z.literal('stage.progress'), ...ofStage, share: z.number() }),
  z.object({
    type: z.literal('stage.audio'),
    ...ofStage,
    number: z.int().min(0).describe('Number of the piece; an event with the same number repeats that piece'),
    text: z.string().describe('What is spoken'),
    at: z.int().min(0).describe('Offset of the text in the whole text, in UTF-16 code units'),
    audio: artifact,
    data: z.string().optional().describe('The file in base64, unless `audio=ref`'),
  }),
  z.object({ type: z.literal('stage.finished'), ...ofStage, cache, runMs: z.number() }),
  z.object({ type: z.literal('stage.failed'), ...ofStage, code: z.string(), message: z.string() }),
  z.object({
    type: z.literal('stage.waiting_for'),
    ...ofStage,
    model: z.string(),
    code: z.string(),
    message: z.string(),
  }),
  z.object({ type: z.literal('stage.loading'), ...ofStage, model: z.string(), loadMs: z.number().optional() }),
  z.object({ type: z.literal('stage.waiting'), ...ofStage, subject: z.string(), until: time }),
  z.object({ type: z.literal('stage.decided'), ...ofStage, ...decided }),
  z.object({ type: z.literal('tool.called'), ...ofCall, arguments: anyObject.optional() }),
  z.object({
    type: z.literal('tool.ended'),
    ...ofCall,
    end: z.enum(['done', 'failed', 'refused', 'wrong']),
    arguments: anyObject.optional().describe('Present if a person changed them'),
    result: z.unknown().optional(),
    code: z.string().optional(),
    message: z.string().optional(),
  }),
  z.object({
    type: z.literal('guardrail.checked'),
    ...ofStage,
    guardrail: z.string(),
    on: z.enum(['input', 'output', 'tool']),
    verdict: z.enum(['pass', 'stop', 'redact', 'ask']),
    reason: z.string().optional(),
  }),
  z.object({ type: z.literal('events.lost'), count: z.int().optional() }),
]);

/** The JSON forms of a media field of an input. */
const mediaForms = (kind: MediaKind) =>
  z.union([
    z.object({
      base64: z.string().describe('The file (RFC 4648)'),
      mime: z
        .string()
        .regex(kind === 'file' ? /^[^/]+\/[^/]+$/ : new RegExp(`^${kind}/`))
        .optional(),
    }),
    z
      .object({ uri: z.string().regex(/^artifact:\/\//) })
      .describe('An artifact of the same tenant, for example from an earlier run'),
  ]);

const check = z.object({
  status: z.enum(['ok', 'failed']),
  critical: z.boolean(),
  ms: z.number(),
  error: z.string().optional(),
});

export const COMPONENTS = {
  Artifact: artifact,
  AudioInput: mediaForms('audio'),
  ImageInput: mediaForms('image'),
  VideoInput: mediaForms('video'),
  FileInput: mediaForms('file'),
  Pipeline: pipelineDocument,
  Problem: problem,
  Readiness: z.object({
    status: z.enum(['ready', 'degraded', 'unavailable']),
    degraded: z
      .array(z.object({ part: z.string(), message: z.string() }))
      .describe('Failed parts without which runs can still start'),
    checks: z.record(z.string(), check),
  }),
  Run: runDocument,
  RunEvent: runEvent,
} as const;

/** A reference to a component, for the schemas of routes. */
export const component = (name: keyof typeof COMPONENTS): Schema => ({ $ref: `#/components/schemas/${name}` });

/** A zod schema in OpenAPI's form; additional fields are allowed. */
export const schemaOf = (schema: z.ZodType): Schema => {
  const json = jsonSchema(schema, 'input');
  return isJsonObject(json) ? json : {};
};

export const json = (schema: Schema, example?: Schema) => ({
  'application/json': { schema, ...(example && { example }) },
});
