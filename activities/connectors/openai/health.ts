import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import { MillraceError } from '../../../pipelines/errors.js';
import { unlisted } from './models.js';
import type { ServerSoftware } from './options.js';

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
    if (isUnready(error.status)) throw notReady(error);
    return false;
  }
}

/** The error of a server that answers that it is not ready. */
function notReady({ message }: APIError): MillraceError {
  const why = message.replace(/^\d{3}\s*/, '');
  return new MillraceError('BACKEND_UNAVAILABLE', `the server is not ready: ${why}`, { unsent: true });
}

/**
 * The software of a server that is not known yet, and refuses to list its models: `other`. Throws `BACKEND_UNAVAILABLE` for 503, as for
 * its health.
 */
export function unlistedAtFirst(error: unknown): ServerSoftware {
  if (error instanceof APIError && error.status === 503) throw notReady(error);
  return unlisted(error);
}
