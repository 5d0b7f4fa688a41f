import type { FastifyReply } from 'fastify';

/** Aborts when the client disconnects before the response is complete. */
export function leaving(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
