import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { testGateway } from '../../../support/test-gateway.js';

test('a run goes on when its gateway shuts down, and is cancelled when its client leaves', async () => {
  for (const [who, sent] of [
    ['gateway', []],
    ['client', [['cancel']]],
  ] as const) {
    const pipelines = [chatModel] as unknown as Pipeline[];
    const gateway = await testGateway({}, { pipelines, placementOf: () => ({}) });
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = gateway.app.server.address() as AddressInfo;
    const left = new AbortController();
    const response = await fetch(`http://127.0.0.1:${port}/v1/agui/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ threadId: 't', runId: 'r', messages: [{ id: '1', role: 'user', content: 'Why?' }] }),
      signal: left.signal,
    });
    const read = response.text().catch(() => undefined);
    await expect.poll(() => gateway.temporal.runs.size).toBe(1);
    if (who === 'client') {
      left.abort();
      await expect.poll(() => gateway.temporal.sent).toEqual(sent);
    }
    await gateway.close();
    await read;
    expect([who, gateway.temporal.sent]).toEqual([who, sent]);
  }
});
