import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { expect, it } from 'vitest';
import { Answer } from '../../../../gateway/mcp/exchange.js';

/** A connection whose client reads nothing, until it emits `drain`. */
class Unread extends EventEmitter {
  readonly destroyed = false;
  readonly written: unknown[] = [];
  setHeader = () => this;
  writeHead = () => this;
  flushHeaders = () => undefined;
  end = () => this;
  write = (part: unknown) => {
    this.written.push(part);
    return false;
  };
}

it('who adds frames to a stream waits for a client that does not read them, as who sends its parts', async () => {
  const raw = new Unread();
  const answer = new Answer({ raw, hijack: () => undefined, getHeaders: () => ({}) } as unknown as FastifyReply);
  void answer.send(new Response(new ReadableStream()));
  await nextTurn();
  answer.add('id: 1\ndata: \n\n');
  let read = false;
  const reading = answer.read().then(() => {
    read = true;
  });
  await nextTurn();
  expect([raw.written, read]).toEqual([['id: 1\ndata: \n\n'], false]);
  raw.emit('drain');
  await reading;
});
