import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Seeded } from '../../../../bench/chaos/seeded.js';
import { documented } from '../../../../bench/fuzz/documented.js';
import { fuzzGrpc } from '../../../../bench/fuzz/grpc.js';
import { fuzzMcp } from '../../../../bench/fuzz/mcp.js';
import { media, plain } from '../../../../bench/fuzz/pipelines.js';
import { freePort } from '../../../support/free-port.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/* The fuzzers of `npm run fuzz`, in small, against a gateway whose runs end at once. */

let gateway: TestGateway;
let port: number;
beforeEach(async () => {
  port = await freePort();
  gateway = await testGateway({}, { pipelines: [plain, media], grpc: { host: '127.0.0.1', port } });
  gateway.temporal.onStart = (run) => run.end({ output: { text: 'hello', language: 'en', clips: [] }, stages: [] });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => gateway.close());

const none = { serverErrors: 0, undocumented: 0, problems: new Map() };

it('finds nothing wrong with the answers of gRPC', async () => {
  const outcome = await fuzzGrpc(`127.0.0.1:${port}`, 500, new Seeded(1, 'grpc'));
  expect(outcome).toEqual({ requests: 500, ...none });
}, 60_000);

it('finds nothing wrong with the answers of MCP', async () => {
  const base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
  const outcome = await fuzzMcp(base, 500, new Seeded(1, 'mcp'), await documented(base, '/mcp'));
  expect(outcome).toEqual({ requests: 500, ...none });
}, 60_000);

it('counts an answer that does not come as the server’s fault', async () => {
  const nobody = await freePort();
  expect(await fuzzMcp(`http://127.0.0.1:${nobody}`, 8, new Seeded(1, 'mcp'), new Set())).toMatchObject({
    serverErrors: 8,
  });
  expect(await fuzzGrpc(`127.0.0.1:${nobody}`, 8, new Seeded(1, 'grpc'))).toMatchObject({ serverErrors: 8 });
});
