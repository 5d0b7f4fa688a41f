import { WorkflowNotFoundError } from '@temporalio/common';
import { expect, test } from 'vitest';
import { startWithDelivery } from '../../../runs/webhooks/start-with-delivery.js';

/** A Temporal whose workers start the run at the `nth` look at it. */
function late(nth: number) {
  const looks = { count: 0 };
  const temporal = {
    withDeadline: async (_: number, work: () => Promise<unknown>) => await work(),
    workflow: {
      start: async () => ({}),
      getHandle: (id: string) => ({
        async describe() {
          looks.count += 1;
          if (looks.count < nth) throw new WorkflowNotFoundError('not found', id, undefined);
          return { runId: 'execution-1' };
        },
      }),
    },
  };
  const order = { tenant: 'acme', targets: [], of: { run: { id: 'greet-1', pipeline: 'greet', memo: {} } } };
  return { looks, start: () => startWithDelivery({ temporal, taskQueue: 'q' } as never, order as never) };
}

test('a start whose run no worker starts in time costs Temporal a dozen looks, and the run is accepted', async () => {
  const { looks, start } = late(Number.POSITIVE_INFINITY);
  expect(await start()).toBeUndefined();
  expect(looks.count).toBeLessThanOrEqual(12);
});

test('a run that is started as usual is seen at once', async () => {
  const { start } = late(3);
  const began = performance.now();
  expect(await start()).toMatchObject({ runId: 'execution-1' });
  expect(performance.now() - began).toBeLessThan(1_000);
});
