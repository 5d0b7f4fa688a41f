import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inspectorOf } from '../../media/index.js';
import { voiceAssistant } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { artifactsFolder } from '../../workers/artifacts.js';
import { conformance } from '../support/mcp/conformance.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testSettings } from '../support/settings.js';
import { unlessStill } from '../support/unless-still.js';

/** Apart from the other tests of the door: the suite waits half a minute for what the door does not serve. */

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const { PIXEL, ...fixtures } = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline> & {
  PIXEL: Buffer;
};

let served: ServedPipelines;
beforeAll(async () => {
  const store = await openFileStore(artifactsFolder(testSettings()));
  await store.put('default', Readable.from([PIXEL]), inspectorOf('image'));
  const all = [voiceAssistant, ...Object.values(fixtures)] as unknown as Parameters<typeof servePipelines>[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
});
afterAll(() => served?.close());

it.each(['2025-11-25', '2026-07-28'])(
  'the MCP door passes the public conformance suite of %s for what it declares',
  // The suite has limits of its own, of seconds.
  (of) =>
    unlessStill(async () => {
      const { code: exit, output } = await conformance(`${served.url}/mcp`, of);
      expect(exit, output).toBe(0);
    }),
);
