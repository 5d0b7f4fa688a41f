import { isJsonObject } from '../../../pipelines/json.js';

/**
 * `fetch`, with the bodies of failed calls in OpenAI's form, `{ "error": { "message": … } }`, which is all that the client
 * reads. Older vLLM puts the fields at the top (`{ "object": "error", "message": … }`), FastAPI says `{ "detail": … }`,
 * Ollama `{ "error": "…" }`.
 */
export const uniformErrors: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.ok || !response.headers.get('content-type')?.includes('json')) return response;
  const text = await response.text();
  const { status, statusText, headers } = response;
  return new Response(uniform(text) || null, { status, statusText, headers: withoutLength(headers) });
};

function uniform(text: string): string {
  const body = parsed(text);
  if (!isJsonObject(body) || isJsonObject(body.error)) return text;
  const { error, detail, ...rest } = body;
  const message = [error, body.message, detail].find((told) => told !== undefined && told !== null) ?? body;
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

/** The headers without those that were true of the old body only. */
function withoutLength(headers: Headers): Headers {
  const kept = new Headers(headers);
  kept.delete('content-length');
  kept.delete('content-encoding');
  return kept;
}
