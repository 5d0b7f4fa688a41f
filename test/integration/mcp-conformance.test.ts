import { afterAll, beforeAll, expect, it } from 'vitest';
import { voiceAssistant } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { conformance, exceptedOf } from '../support/mcp/conformance.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { LATE_ONCE } from '../support/soonest.js';

/** Apart from the other tests of the door: the suite waits half a minute for what the door does not serve. */

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const fixtures = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline>;

let served: ServedPipelines;
beforeAll(async () => {
  const all = [voiceAssistant, ...Object.values(fixtures)] as unknown as Parameters<typeof servePipelines>[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
});
afterAll(() => served?.close());

it.each(['2025-11-25', '2026-07-28'])(
  'the MCP door passes the public conformance suite of %s but for the checks that are excepted',
  // The suite has limits of its own, of seconds; and where a run takes one, its call is answered with a task, which the suite does not expect.
  LATE_ONCE,
  async (of) => {
    const { failed, lost, output } = await conformance(`${served.url}/mcp`, of);
    expect(lost, output).toBe(0);
    expect(failed, output).toEqual(exceptedOf(of));
  },
);
