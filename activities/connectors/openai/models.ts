import { createHash } from 'node:crypto';
import { APIError, type OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../../pipelines/json.js';

/** What `/v1/models` says of a model beyond OpenAI's fields: llama.cpp's `meta` and `aliases`, vLLM's `root`. */
interface Listed {
  readonly id: string;
  readonly owned_by?: string;
  readonly aliases?: readonly string[];
  readonly root?: string;
  readonly meta?: Readonly<Record<string, unknown>> | null;
}

const LLAMA_CPP = 'llamacpp';

/** The server's list of models; undefined where it offers none (404 and the like). */
async function list(client: OpenAI, signal: AbortSignal): Promise<readonly Listed[] | undefined> {
  try {
    const { data } = await client.models.list({ signal });
    return Array.isArray(data) ? (data as readonly Listed[]) : undefined;
  } catch (error) {
    if (error instanceof APIError && [404, 405, 501].includes(error.status ?? 0)) return undefined;
    throw error;
  }
}

const named = (models: readonly Listed[], model: string): Listed | undefined =>
  models.find(({ id, aliases }) => id === model || (Array.isArray(aliases) && aliases.includes(model)));

/** A server that answers but will not list its models has them all the same; what is wrong with it the call will say. */
function unlisted(error: unknown): undefined {
  if (error instanceof APIError && error.status !== undefined) return undefined;
  throw error;
}

/**
 * llama.cpp answers with the model it has whatever name it is asked for: a wrong name must not go unnoticed. Throws
 * `MODEL_NOT_FOUND`. Other servers say so themselves, and some serve names that they do not list.
 */
export async function requireModel(client: OpenAI, model: string, signal: AbortSignal): Promise<void> {
  const models = (await list(client, signal).catch(unlisted)) ?? [];
  const indifferent = models.length > 0 && models.every(({ owned_by }) => owned_by === LLAMA_CPP);
  if (indifferent && !named(models, model)) {
    throw new MillraceError(
      'MODEL_NOT_FOUND',
      `the server has ${models.map(({ id }) => id).join(', ')}, not "${model}"`,
    );
  }
}

/**
 * Hash of what the server tells of the model: its name, what it was made of (`root`) and the numbers of its weights
 * (`meta`: parameters, bytes, vocabulary, quantization). The protocol has no hash of weights, so a model retrained under the same name and
 * shape is not noticed. The name alone where the server tells nothing.
 */
export async function fingerprint(client: OpenAI, model: string, signal: AbortSignal): Promise<string> {
  const listed = named((await list(client, signal)) ?? [], model);
  if (!listed) return model;
  const { id, owned_by, root = null, meta } = listed;
  if (owned_by === LLAMA_CPP && !meta)
    throw new MillraceError('BACKEND_UNAVAILABLE', 'the server is loading the model', { unsent: true });
  const { n_ctx: _, ...weights } = meta ?? {}; // how the server was started, not what the model is
  const told = { id, root, meta: weights } as Json;
  return createHash('sha256').update(canonicalJson(told)).digest('hex').slice(0, 16);
}

/** Whose server it is, as it says of its model: `llamacpp`, `vllm`. The protocol has no release. */
export async function server(client: OpenAI, model: string, signal: AbortSignal): Promise<string> {
  return named((await list(client, signal)) ?? [], model)?.owned_by ?? 'unknown';
}
