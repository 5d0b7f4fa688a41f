import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientError, MillraceClient } from '../../client/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { address, CallLog, connect } from '../support/runs.js';
import { testSettings } from '../support/settings.js';

/* Where the author of a failed function finds its file and line: the run's document, the Temporal UI and the worker's log. */

const FIXTURE = readFileSync('test/fixtures/pipelines.mjs', 'utf8').split('\n');
const lineOf = (text: string): number => FIXTURE.findIndex((line) => line.includes(text)) + 1;

let temporal: Client;
let client: MillraceClient;
beforeAll(async () => {
  temporal = await connect();
  client = new MillraceClient({ baseUrl: address('GATEWAY_URL') });
});
afterAll(() => temporal.connection.close());

const CASES: readonly (readonly [how: string, pipeline: string, input: () => JsonObject, line: number])[] = [
  [
    'a queued stage',
    'flaky-run',
    () => ({ log: new CallLog().file, failures: 100, code: 'BACKEND_REJECTED' }),
    lineOf('new Error(`failure '),
  ],
  ['an inline stage', 'failing-segment', () => ({ n: 1 }), lineOf('is odd')],
];

describe.each(['seeks-queued', 'seeks-inline'])('a message that ends with half of an emoji: %s', (pipeline) => {
  it('fails its run, and not the worker', async () => {
    for (const title of ['ab🙂c', 'abc🙂', 'abc🙂']) {
      const failed = (await client.run(pipeline, { title }).catch((error: unknown) => error)) as ClientError;
      const said = title.startsWith('abc') ? 'no abc\ufffd' : 'no ab🙂';
      expect(failed.run?.error).toMatchObject({
        code: 'CODE_FAILED',
        message: expect.stringContaining(said) as string,
      });
    }
  });
});

describe.each(CASES)('the failure of %s', (_, pipeline, input, line) => {
  it('has its file and line, relative to the module, and no path of the machine', async () => {
    const failed = (await client.run(pipeline, input()).catch((error: unknown) => error)) as ClientError;
    const id = failed.run?.id ?? '';
    const at = expect.stringMatching(new RegExp(`^pipelines\\.mjs:${line}:\\d+$`)) as string;
    expect(failed.run?.error).toMatchObject({ code: 'BACKEND_REJECTED', at });
    expect((await client.get(id)).error).toMatchObject({ code: 'BACKEND_REJECTED', at });
    const { events = [] } = await temporal.workflow.getHandle(id).fetchHistory();
    const stacks = (events ?? []).flatMap(
      ({ activityTaskFailedEventAttributes, workflowExecutionFailedEventAttributes }) =>
        [activityTaskFailedEventAttributes, workflowExecutionFailedEventAttributes].flatMap(
          (each) => each?.failure?.stackTrace ?? [],
        ),
    );
    expect(stacks.length).toBeGreaterThan(0);
    for (const stack of stacks) {
      expect(stack).toContain(`pipelines.mjs:${line}:`);
      expect(stack).not.toContain(process.cwd());
    }
    // The file may have the line some time after the run has ended.
    const logged = () => {
      const log = readFileSync(path.join(testSettings().MILLRACE_HOME, 'logs/worker.log'), 'utf8');
      const found = log.split('\n').find((each) => each.includes(id) && each.includes('stage attempt failed')) ?? '{}';
      return JSON.parse(found) as JsonObject;
    };
    await expect.poll(logged).toMatchObject({ at, stack: expect.stringContaining(`(pipelines.mjs:${line}:`) });
  });
});
