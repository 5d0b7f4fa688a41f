import { APIError, type OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';

/**
 * The server's report of its health: true if it is ready, false if it makes none. Throws `BACKEND_UNAVAILABLE` for 503:
 * the model is loading, or the engine is dead.
 */
export async function healthy(client: OpenAI, signal: AbortSignal): Promise<boolean> {
  const base = client.baseURL.replace(/\/v1\/?$/, '');
  try {
    // An absolute URL is taken as it is.
    const response = await client.get(`${base}/health`, { signal }).asResponse();
    await response.body?.cancel();
    return true;
  } catch (error) {
    if (!(error instanceof APIError) || error.status === undefined) throw error;
    if (error.status !== 503) return false;
    const why = error.message.replace(/^503\s*/, '');
    throw new MillraceError('BACKEND_UNAVAILABLE', `the server is not ready: ${why}`, { unsent: true });
  }
}
