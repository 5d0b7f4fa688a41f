import { isJsonObject } from '../../../pipelines/json.js';
import { AnswerShape } from '../answer-shape.js';
import { LONGEST_BODY, tooLong } from '../exchange.js';

/**
 * `fetch` of a model server. An answer above 64 MiB is aborted with `BACKEND_REJECTED`, and one that `AnswerShape` refuses. A redirect is not followed: the
 * call carries an API key and a body meant for the endpoint only. Bodies of failed calls are converted to OpenAI's
 * form, `{ "error": { "message": … } }`, the only one that the client reads: older vLLM puts the fields at the top (`{
 * "object": "error", "message": … }`), FastAPI sends `{ "detail": … }`, Ollama `{ "error": "…" }`, Gemini a list of one.
 */
export const boundedFetch =
  (transport: typeof fetch = fetch): typeof fetch =>
  async (input, init) => {
    const answer = await transport(input, { ...init, redirect: 'manual' });
    if (answer.status >= 300 && answer.status < 400) return redirected(answer);
    const response = bounded(answer);
    if (response.ok || !response.headers.get('content-type')?.includes('json')) return response;
    const text = await response.text();
    const { status, statusText, headers } = response;
    return new Response(uniform(text) || null, { status, statusText, headers: withoutLength(headers) });
  };

/** The answer; reading fails when the body exceeds the limit, or is JSON that would take many times as much once it is parsed. */
function bounded(response: Response): Response {
  if (response.body === null) return response;
  const shape = response.headers.get('content-type')?.includes('json') ? new AnswerShape() : undefined;
  let length = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        length += chunk.byteLength;
        if (length > LONGEST_BODY) throw tooLong();
        shape?.push(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  const { status, statusText, headers } = response;
  return new Response(counted, { status, statusText, headers });
}

/** Converts a redirect to an error. It names only the target's origin: a path may contain secrets. */
async function redirected(response: Response): Promise<Response> {
  await response.body?.cancel();
  const { status, statusText, url, headers } = response;
  const message = `it redirects to ${originOf(headers.get('location') ?? '', url)}, which is not followed`;
  // The standard forbids a body with 304.
  const body = status === 304 ? null : JSON.stringify({ error: { message } });
  return new Response(body, { status, statusText, headers: { 'content-type': 'application/json' } });
}

function originOf(location: string, base: string): string {
  try {
    return new URL(location, base).origin;
  } catch {
    return 'an invalid URL';
  }
}

function uniform(text: string): string {
  const read = parsed(text);
  const body = Array.isArray(read) && read.length === 1 ? (read[0] as unknown) : read;
  if (!isJsonObject(body)) return text;
  if (isJsonObject(body.error)) return body === read ? text : JSON.stringify(body);
  const { error, detail, ...rest } = body;
  const message = [error, body.message, detail].find((each) => each !== undefined && each !== null) ?? body;
  return JSON.stringify({
    error: { ...rest, message: typeof message === 'string' ? message : JSON.stringify(message) },
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The headers without those that described the old body. */
function withoutLength(headers: Headers): Headers {
  const kept = new Headers(headers);
  kept.delete('content-length');
  kept.delete('content-encoding');
  return kept;
}
