import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { artifactAtEnd, expectPlace, noteConversion, sendLive } from '../../../../gateway/rest/live-artifact.js';
import type { Caller } from '../../../../runs/caller.js';
import { RunEnds } from '../../../../runs/ends.js';
import { StreamSlots } from '../../../../runs/stream-slots.js';
import { FakeTemporal, grpcError } from '../../../support/fake-temporal.js';

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

test('a file that was converted before is refused at once where its tenant converts as many as it may', () => {
  const deps = { encoder: { isFull: (tenant: string) => tenant === 'acme' } } as unknown as GatewayDeps;
  const conversion = { tenant: 'acme', run: 'listen-1', name: 'speech', format: 'pcm' } as const;
  const ask =
    (more: object = {}) =>
    () =>
      expectPlace(deps, { ...conversion, ...more });
  expect(ask(), 'it may need no place').not.toThrow();
  noteConversion(conversion);
  noteConversion({ ...conversion, tenant: 'other' });
  expect(ask()).toThrow('too much audio is being encoded as pcm at once');
  for (const more of [{ tenant: 'other' }, { run: 'listen-2' }, { name: 'input.speech' }, { format: 'wav' }])
    expect(ask(more)).not.toThrow();
});

describe('the whole audio of a run that has not ended', () => {
  test('is waited for while Temporal is unavailable, until its client leaves', async () => {
    vi.useFakeTimers();
    try {
      const temporal = new FakeTemporal();
      await temporal.client.workflow.start('speak', {
        workflowId: 'speak-1',
        taskQueue: 'q',
        args: [{}, {}],
        memo: { tenant: 'acme', pipeline: 'speak', version: '1', createdAt: '', fingerprint: '' },
      });
      temporal.outage = grpcError(14, 'away');
      const logger = pino({ level: 'silent' });
      const parts = { temporal: temporal.client, logger, uiUrl: () => '', limits: {}, registry: new Registry() };
      const deps = { ...parts, ends: new RunEnds(parts as never) } as unknown as GatewayDeps;
      const caller = { tenant: 'acme', permissions: ['read'] } as unknown as Caller;
      const get = () => artifactAtEnd(deps, { id: 'speak-1', name: 'speech', caller, signal: leave.signal });
      let settled = false;
      const speech = get().finally(() => {
        settled = true;
      });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(settled).toBe(false);
      temporal.outage = undefined;
      const made = { uri: `artifact://acme/${'a'.repeat(64)}`, sha256: 'a'.repeat(64), mime: 'audio/wav', bytes: 9 };
      temporal.only().end({ output: { speech: made }, stages: [] });
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await speech).toMatchObject(made);
      temporal.outage = grpcError(14, 'away');
      const left = expect(get()).rejects.toThrow('left');
      await vi.advanceTimersByTimeAsync(5_000);
      leave.abort(new Error('left'));
      await left;
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('audio whose client leaves holds no slot', () => {
  test('when it had left before the audio is sent', async () => {
    await expect(send(() => leave.abort())).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(sent).toBeUndefined();
    streams.take('acme')();
  });

  test('when it leaves before the first byte is read', async () => {
    await send(() => undefined);
    expect(() => streams.take('acme')).toThrow('which is the limit');
    leave.abort();
    sent?.destroy();
    streams.take('acme')();
  });
});
