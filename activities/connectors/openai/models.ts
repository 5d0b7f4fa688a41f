import { createHash } from 'node:crypto';
import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import { MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json } from '../../../pipelines/json.js';
import type { ServerSoftware } from './options.js';

/** Fields of `/v1/models` beyond OpenAI's: llama.cpp's `meta` and `aliases`, vLLM's `root`. */
interface Listed {
  readonly id: string;
  readonly owned_by?: string;
  readonly aliases?: readonly string[];
  readonly root?: string;
  readonly meta?: Readonly<Record<string, unknown>> | null;
}

const LLAMA_CPP = 'llamacpp';

/** Models that the message of an error names. */
const MOST_NAMED = 20;

/** `owned_by` of the entries of servers that state their software there. */
const BY_OWNER: ReadonlyMap<string, ServerSoftware> = new Map([
  ['vllm', 'vllm'],
  ['sglang', 'sglang'],
  [LLAMA_CPP, 'llama.cpp'],
  // Its OpenAI frontend.
  ['Triton Inference Server', 'triton'],
]);

/** The server's software, as its model entry states it. */
const softwareOf = (owner: string | undefined): ServerSoftware => BY_OWNER.get(owner ?? '') ?? 'other';

/** The server's list of models; undefined if it offers none (404 and the like). */
async function list(client: OpenAI, signal: AbortSignal): Promise<readonly Listed[] | undefined> {
  try {
    const { data }: { readonly data?: unknown } = Object(await client.models.list({ signal }));
    return Array.isArray(data) ? data.filter(isListed) : undefined;
  } catch (error) {
    if (error instanceof APIError && [404, 405, 501].includes(error.status ?? 0)) return undefined;
    throw error;
  }
}

const isListed = (entry: unknown): entry is Listed => isJsonObject(entry) && typeof entry.id === 'string';

const loading = (): MillraceError =>
  new MillraceError('BACKEND_UNAVAILABLE', 'the server is loading the model', { unsent: true });

const named = (models: readonly Listed[], model: string): Listed | undefined =>
  models.find(({ id, aliases }) => id === model || (Array.isArray(aliases) && aliases.includes(model)));

/**
 * The server's software where it refuses to list its models: what is known of it. It may serve them all the same, and the call will
 * show what is wrong. Throws an error that is no refusal.
 */
export function unlisted(error: unknown, known: ServerSoftware = 'other'): ServerSoftware {
  if (error instanceof APIError && error.status !== undefined) return known;
  throw error;
}

/**
 * llama.cpp answers any model name with the model that it has, so a wrong name would go unnoticed. Throws
 * `MODEL_NOT_FOUND`, or `BACKEND_UNAVAILABLE` while it loads that model. Returns the server's software. Other servers check the
 * name themselves, and some serve names that they do not list.
 * @param refused what is made of the error of a list that cannot be read
 */
export async function requireModel(
  client: OpenAI,
  model: string,
  signal: AbortSignal,
  refused: (error: unknown) => ServerSoftware = unlisted,
): Promise<ServerSoftware> {
  let models: readonly Listed[];
  try {
    models = (await list(client, signal)) ?? [];
  } catch (error) {
    return refused(error);
  }
  const indifferent = models.length > 0 && models.every(({ owned_by }) => owned_by === LLAMA_CPP);
  if (indifferent && !named(models, model)) {
    // Some builds list a model without a name until theirs is loaded.
    if (models.some(({ meta }) => meta === null)) throw loading();
    throw new MillraceError(
      'MODEL_NOT_FOUND',
      `the server has ${models
        .slice(0, MOST_NAMED)
        .map(({ id }) => id)
        .join(', ')}, not "${model}"`,
    );
  }
  return softwareOf((named(models, model) ?? models[0])?.owned_by);
}

/**
 * Hash of what the server reports about the model: its name, its source (`root`) and its weights (`meta`: parameters,
 * bytes, vocabulary, quantization). The protocol has no hash of weights, so a model retrained under the same name and
 * shape is not detected. Only the name if the server reports nothing else.
 */
export async function fingerprint(client: OpenAI, model: string, signal: AbortSignal): Promise<string> {
  const listed = named((await list(client, signal)) ?? [], model);
  if (!listed) return model;
  const { id, owned_by, root = null, meta } = listed;
  if (owned_by === LLAMA_CPP && !meta) throw loading();
  const { n_ctx: _, ...weights } = meta ?? {}; // a start option of the server, not a property of the model
  const reported = { id, root, meta: weights } as Json;
  return createHash('sha256').update(canonicalJson(reported)).digest('hex').slice(0, 16);
}

/** The server's software, as its model entry states it: `llamacpp`, `vllm`. The protocol has no release. */
export async function server(client: OpenAI, model: string, signal: AbortSignal): Promise<string> {
  return named((await list(client, signal)) ?? [], model)?.owned_by ?? 'unknown';
}
