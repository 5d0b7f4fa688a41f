import type { FastifyReply } from 'fastify';

/** Aborts when the client disconnects before the response is complete. */
export function leaving(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

/** The same, but it does not abort once the response has been sent: a door may answer first and start its run then. */
export function leavingUnanswered({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const closed = () => {
    if (!raw.writableEnded) controller.abort();
  };
  if (raw.destroyed) closed();
  raw.once('close', closed);
  return controller.signal;
}
