import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { RunEventReader } from '../../../../stores/events/index.js';

const event = { type: 'stage.started', stage: 'only', path: 'only', attempt: 1, kind: 'code', model: 'code' };

/** A Redis that is slow at the moment that cannot be provoked: when a run has ended and its events are read a last time. */
function slowRedis(failures: number) {
  let reads = 0;
  const redis = {
    xrange: async () => {
      if (++reads <= failures) throw new Error('Command timed out');
      return [['1-0', ['event', JSON.stringify(event)]]];
    },
  };
  const subscriber = { on: () => subscriber, subscribe: async () => 1, unsubscribe: async () => 1 };
  return { reader: new RunEventReader(redis as unknown as Redis, subscriber as unknown as Redis), reads: () => reads };
}

async function followed(reader: RunEventReader) {
  const events = [];
  for await (const each of reader.follow('run', undefined, AbortSignal.abort())) events.push(each);
  return events;
}

test('what a run has told is read at its end, though Redis answers late', async () => {
  const { reader } = slowRedis(2);
  expect(await followed(reader)).toEqual([{ id: '1-0', event, json: JSON.stringify(event) }]);
});

test('a Redis that is away is not waited for, and it is told that events may be missing', async () => {
  const { reader, reads } = slowRedis(1_000);
  expect(await followed(reader)).toEqual([
    { id: '0-0', event: { type: 'events.lost' }, json: '{"type":"events.lost"}' },
  ]);
  expect(reads()).toBe(4);
});
