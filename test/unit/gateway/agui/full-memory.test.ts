import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HeldResponse } from '../../../../gateway/http/response-memory.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
const unhandled = vi.fn();

beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [chatModel] as unknown as Pipeline[], placementOf: () => ({}) });
  process.on('unhandledRejection', unhandled);
});
afterEach(async () => {
  process.off('unhandledRejection', unhandled);
  vi.restoreAllMocks();
  await gateway.close();
});

test('a client whose state does not fit into memory now is told so', async () => {
  gateway.temporal.onStart = (run) => setTimeout(() => run.end({ output: { text: 'So.' }, stages: [] }), 20);
  vi.spyOn(HeldResponse.prototype, 'take').mockImplementation(() => {
    throw new MillraceError('BODY_MEMORY_FULL', 'full');
  });
  const { payload } = await gateway.app.inject({
    method: 'POST',
    url: '/v1/agui/chat',
    payload: {
      threadId: 't',
      runId: 'r',
      state: { kept: 'x'.repeat(20_000) },
      messages: [{ id: '1', role: 'user', content: 'Why?' }],
    },
  });
  expect(payload).toContain('"type":"RUN_ERROR"');
  expect(payload).toContain('BODY_MEMORY_FULL');
  expect(unhandled).not.toHaveBeenCalled();
});
