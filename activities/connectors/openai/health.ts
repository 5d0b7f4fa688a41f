import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import { MillraceError } from '../../../pipelines/errors.js';

/**
 * The server's report of its health at `GET /health`: true if it is ready, false if it makes none. Throws `BACKEND_UNAVAILABLE` for
 * 503: the model is loading, or the engine is dead.
 */
export const healthy = (client: OpenAI, signal: AbortSignal): Promise<boolean> =>
  reported(client, '/health', (status) => status === 503, signal);

/** That of Triton's OpenAI frontend, `GET /health/ready`, which says 400 while it is not ready. */
export const frontendHealthy = (client: OpenAI, signal: AbortSignal): Promise<boolean> =>
  reported(client, '/health/ready', (status) => status !== 404, signal);

async function reported(
  client: OpenAI,
  path: string,
  isUnready: (status: number) => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const base = client.baseURL.replace(/\/v1\/?$/, '');
  try {
    // An absolute URL is taken as it is.
    const response = await client.get(`${base}${path}`, { signal }).asResponse();
    await response.body?.cancel();
    return true;
  } catch (error) {
    if (!(error instanceof APIError) || error.status === undefined) throw error;
    if (!isUnready(error.status)) return false;
    const why = error.message.replace(/^\d{3}\s*/, '');
    throw new MillraceError('BACKEND_UNAVAILABLE', `the server is not ready: ${why}`, { unsent: true });
  }
}
