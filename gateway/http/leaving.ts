import type { FastifyReply } from 'fastify';

/** Aborted when the client leaves before its answer. */
export function leaving(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
