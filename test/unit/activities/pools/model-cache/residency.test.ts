import { expect, it } from 'vitest';
import type { Endpoint } from '../../../../../activities/pools/endpoint.js';
import { Residency } from '../../../../../activities/pools/model-cache/index.js';
import type { ServerModels } from '../../../../../activities/pools/model-cache/server-models.js';

const endpointAt = (url: string) => ({ url, device: url, backend: { repository: {} } }) as unknown as Endpoint;

it('a hedge that comes in after the other call has answered keeps no model loaded', async () => {
  const entered: string[] = [];
  const left: string[] = [];
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const serverOf = ({ url }: Endpoint) =>
    ({
      join: () => () => undefined,
      async enter() {
        entered.push(url);
        // Both have the model when the call comes; the store is slow when the hedge does.
        if (entered.length > 2) await opened;
        return { ready: true, leave: () => void left.push(url) };
      },
    }) as unknown as ServerModels;
  const endpoints = ['one', 'two'].map(endpointAt);
  const load = { memory: 1, of: 2, pin: false };
  const residency = new Residency({ name: 'a', model: 'a', load, endpoints, serverOf });
  for (const endpoint of endpoints) residency.add(endpoint);
  const { signal } = new AbortController();
  const stay = await residency.enter(signal, { calls: 1 });
  await stay.at('one', signal, async () => undefined);
  const decided = new AbortController();
  const hedge = stay.at('two', decided.signal, async () => 'called');
  decided.abort(new Error('the other call answered first'));
  stay.leave();
  open();
  await expect(hedge).rejects.toThrow('the other call answered first');
  expect(entered).toEqual(['one', 'two', 'two']);
  expect(left.sort()).toEqual(['one', 'two', 'two']);
});
