import { z } from 'zod';
import type { JsonObject } from '../../../pipelines/json.js';
import { foreignSchema } from '../../../pipelines/json-schema/index.js';
import { extraSchema } from '../../../pipelines/stages/index.js';
import { headerName } from '../header-name.js';

/** Server software whose own members of a request are known. */
export const SOFTWARE = ['vllm', 'sglang', 'llama.cpp', 'triton', 'other'] as const;
export type ServerSoftware = (typeof SOFTWARE)[number];

const role = z.strictObject({
  prefix: z.string().optional(),
  extra: extraSchema.optional(),
  /** `embedBy: messages`: the first message, in place of that of `conversation`. */
  system: z.string().optional(),
});

/** What a conversation for one vector has besides the item, as the model's card says. */
const conversation = z.strictObject({
  /** The first message: an instruction. */
  system: z.string().optional(),
  /** The text behind an image, a sound or a video. */
  mediaText: z.string().optional(),
  /** The assistant's turn comes last, empty and left open: the vector is read off its beginning. */
  open: z.boolean().default(false),
});

/** Names of the headers that tell a router what it chooses a server by. */
const routerHeaders = z.strictObject({
  /** `interactive`, `default` or `batch`. */
  priority: headerName.default('x-request-priority'),
  /** A hash: the same for calls whose prompts begin alike. */
  session: headerName.default('x-session-id'),
  tenant: headerName.default('x-tenant-id'),
  /** What is left for the call, in milliseconds. */
  timeoutMs: headerName.default('x-request-timeout-ms'),
});
const router = z
  .union([z.literal('external'), z.strictObject({ headers: routerHeaders.prefault({}) })])
  .transform((given) => (given === 'external' ? { headers: routerHeaders.parse({}) } : given));

/** `options` of a pool of this connector. */
const members = z.strictObject({
  /** Further members of each request's body, as the server names them. A stage's own `extra` replaces them by name. */
  extra: extraSchema.optional(),
  /** The server's software, where its list of models does not state it, as behind some routers. */
  server: z.enum(SOFTWARE).optional(),
  /** Send the stage's priority as the request's: the server must have priority scheduling switched on. */
  priority: z.boolean().default(false),
  /** `tenant`: tenants share no cached prefix, at servers that can keep them apart. `off`: they do. */
  cacheSalt: z.enum(['tenant', 'off']).default('tenant'),
  /** The member of an assistant message in which the model wants its reasoning back. Absent: it is not sent. */
  reasoningInHistory: z.enum(['reasoning', 'reasoning_content']).optional(),
  /**
   * The pool's endpoints are routers (llm-d, Dynamo, Envoy AI Gateway, vLLM's own), which choose a server by these
   * headers.
   */
  router: router.optional(),
  /**
   * `transcribe`: send the text as it is recognised, where the server streams it (vLLM; OpenAI’s models but `whisper-1`). Absent:
   * it arrives at the end of each part of at most ten minutes.
   */
  streamTranscripts: z.boolean().default(false),
  /** `transcribe`: the format of segments. `diarized_json` has speakers, and no words. */
  segmentsBy: z.enum(['verbose_json', 'diarized_json']).default('verbose_json'),
  /** `rerank`: the route, `/rerank` as Jina and Cohere have it, or vLLM's `/score`. */
  rerankBy: z.enum(['rerank', 'score']).default('rerank'),
  /** `generate`: JSON Schema of a stage's options, which become members of the request. Default: those of OpenAI. */
  accepts: foreignSchema.optional() as z.ZodOptional<z.ZodType<JsonObject>>,
  /** `generate`: `server`: leave `response_format` out, for models that refuse it and answer with bytes anyway. */
  imagesAs: z.enum(['b64_json', 'server']).default('b64_json'),
  /** `embed`: most items of one request. */
  batch: z.int().min(1).max(2_048).default(64),
  /**
   * `embed`: how the server takes media, and texts beside them. `messages`: conversations, as vLLM; `objects`: `{ "image": … }`,
   * as Jina and SGLang; `modality`: data URLs of one kind for each request, as Infinity. Absent: texts and tokens only.
   */
  embedBy: z.enum(['messages', 'objects', 'modality']).optional(),
  /** `embed` by `messages`: what the model expects around an item. Absent: nothing. */
  conversation: conversation.optional(),
  /** `embed`: what a stage's `as` adds, before the text and to the request. */
  as: z.strictObject({ query: role.optional(), passage: role.optional() }).optional(),
});

export const optionsSchema = members.refine(
  ({ embedBy, conversation: around, as }) =>
    embedBy === 'messages' || [around, as?.query?.system, as?.passage?.system].every((each) => each === undefined),
  { path: ['embedBy'], error: 'must be messages where `conversation` or the `system` of a role is set' },
);

export type OpenAiOptions = z.output<typeof optionsSchema>;
