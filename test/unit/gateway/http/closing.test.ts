import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { testGateway } from '../../../support/test-gateway.js';

it('a shutdown waits for the answer to a request, and not for the next one on its connection', async () => {
  let release: () => void = () => undefined;
  let asked: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asking = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const check = async () => {
    asked();
    await released;
  };
  const gateway = await testGateway({}, { readiness: { slow: { critical: false, check } } } as never);
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = gateway.app.server.address() as AddressInfo;
  const agent = new http.Agent({ keepAlive: true });
  const answered = new Promise<string>((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/readyz', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
  await asking;
  const closed = gateway.close();
  await new Promise((resolve) => setTimeout(resolve, 100));
  release();
  expect(JSON.parse(await answered)).toMatchObject({ status: 'ready' });
  // The agent keeps its connection for 72 s, as the server allows.
  await closed;
  agent.destroy();
});
