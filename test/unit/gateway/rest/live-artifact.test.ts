import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { beforeEach, describe, expect, test } from 'vitest';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { sendLive } from '../../../../gateway/rest/live-artifact.js';
import { StreamSlots } from '../../../../runs/stream-slots.js';

const request = { headers: {}, method: 'GET' } as FastifyRequest;
const audio = { tenant: 'acme', pieces: (async function* () {})(), whole: async () => undefined };

let leave: AbortController;
let streams: StreamSlots;
let sent: Readable | undefined;
const reply = {
  type: () => reply,
  headers: () => reply,
  send(body: Readable) {
    sent = body;
    return reply;
  },
} as unknown as FastifyReply;
/** @param require what happens before the format is known to be available */
const send = (require: () => void) => {
  const chunks = (async function* () {
    yield new Uint8Array(8);
  })();
  const encoder = { require: async () => require(), live: () => ({ mime: 'audio/mpeg', chunks }) };
  return sendLive(request, reply, { encoder, streams } as unknown as GatewayDeps, {
    ...{ audio, format: 'mp3', signal: leave.signal },
  });
};
beforeEach(() => {
  leave = new AbortController();
  // One only, so that a slot that is held refuses the next.
  streams = new StreamSlots({ limits: { maxStreams: 1 } as GatewayDeps['limits'] });
  sent = undefined;
});

describe('audio whose client leaves holds no slot', () => {
  test('when it had left before the audio is sent', async () => {
    await expect(send(() => leave.abort())).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(sent).toBeUndefined();
    streams.take('acme')();
  });

  test('when it leaves before the first byte is read', async () => {
    await send(() => undefined);
    expect(() => streams.take('acme')).toThrow('its most');
    leave.abort();
    sent?.destroy();
    streams.take('acme')();
  });
});
