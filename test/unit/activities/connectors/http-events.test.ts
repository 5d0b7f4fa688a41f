import { expect, it } from 'vitest';
import { eventsOf } from '../../../../activities/connectors/http/events.js';

async function* bytes(text: string): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(text);
}

it('an event of lines without characters has the same limit: each takes memory', async () => {
  const reading = (async () => {
    for await (const _ of eventsOf(bytes('data:\n'.repeat(200)), 100));
  })();
  await expect(reading).rejects.toMatchObject({ code: 'INVALID_OUTPUT', message: expect.stringContaining('event') });
});
