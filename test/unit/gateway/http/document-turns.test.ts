import type { AddressInfo } from 'node:net';
import { setTimeout as sleep, setImmediate as turnOver } from 'node:timers/promises';
import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { DocumentTurns, sharedJson } from '../../../../gateway/http/document-turns.js';
import type { RunDocument } from '../../../../runs/document.js';
import { LATE_ONCE } from '../../../support/soonest.js';
import { allEvents } from '../../../support/sse.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';

describe('documents', () => {
  it('of one object have one text', () => {
    const document = { id: 'a', text: 'é' };
    expect(sharedJson(document)).toBe(sharedJson(document));
    expect(JSON.parse(sharedJson(document).toString())).toEqual(document);
    expect(sharedJson({ ...document })).not.toBe(sharedJson(document));
  });

  it('are written four in a turn of the event loop, of the tenants in turn', async () => {
    const turns = new DocumentTurns(() => 0);
    const written: string[] = [];
    const writing = [...'aaaaaaab'].map((tenant, i) => turns.in(tenant, () => written.push(`${tenant}${i}`)));
    expect(written).toEqual([]);
    await turnOver();
    expect(written).toEqual(['a0', 'b7', 'a1', 'a2']);
    await turnOver();
    expect(written).toHaveLength(8);
    expect(await Promise.all(writing)).toEqual([1, 3, 4, 5, 6, 7, 8, 2]);
  });

  it('are written one in a turn where each takes long; one that fails holds up no other', async () => {
    let now = 0;
    const turns = new DocumentTurns(() => now);
    const slow = [1, 2, 3].map((n) =>
      turns.in('a', () => {
        now += 5;
        if (n === 1) throw new Error('failed');
        return n;
      }),
    );
    slow[0]?.catch(() => undefined);
    await turnOver();
    expect(now).toBe(5);
    await expect(slow[0]).rejects.toThrow('failed');
    expect(await Promise.all(slow.slice(1))).toEqual([2, 3]);
  });
});

describe('the document of a run', () => {
  let gateway: TestGateway;
  afterEach(() => gateway.close());

  async function serve(): Promise<string> {
    gateway = await testGateway(
      { maxWaitMs: 30_000 },
      {
        pipelines: [greet],
        events: {
          async *follow(_run, _after, signal) {
            yield* [];
            await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          },
        },
      },
    );
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    return `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}/v1`;
  }
  const start = (base: string, headers: Record<string, string> = {}) =>
    fetch(`${base}/pipelines/greet/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"name": "Ada"}',
    });

  /** How many texts are made of documents of runs that have ended, meanwhile. */
  async function textsOf(work: () => Promise<unknown>): Promise<number> {
    const stringify = vi.spyOn(JSON, 'stringify');
    const isEnded = (value: unknown) => typeof value === 'object' && value !== null && 'endedAt' in value;
    try {
      await work();
      return stringify.mock.calls.filter(([value]) => isEnded(value)).length;
    } finally {
      stringify.mockRestore();
    }
  }
  const result = { output: { text: 'x'.repeat(300_000) }, stages: [] };

  test('is made a text once for all who follow it', async () => {
    const base = await serve();
    const { id } = (await (await start(base)).json()) as RunDocument;
    const followers = await Promise.all(Array.from({ length: 30 }, () => fetch(`${base}/runs/${id}/events`)));
    const made = await textsOf(async () => {
      gateway.temporal.only().end(result);
      for (const events of await Promise.all(followers.map(allEvents)))
        expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({ id, output: result.output });
    });
    expect(made).toBe(1);
  });

  // A request that is late finds the run ended, and makes a text of its own.
  test('is made a text once for all who wait again', LATE_ONCE, async () => {
    const base = await serve();
    const wait = { prefer: 'wait=30', 'idempotency-key': 'greeting' };
    const first = start(base, wait);
    await expect.poll(() => gateway.temporal.runs.size).toBe(1);
    const again = Array.from({ length: 20 }, () => start(base, wait));
    await sleep(500);
    const made = await textsOf(async () => {
      gateway.temporal.only().end(result);
      for (const response of await Promise.all([first, ...again])) {
        expect(response.status).toBe(200);
        expect(await response.json()).toMatchObject({ status: 'succeeded' });
      }
    });
    // The one who has started it has one of its own.
    expect(made).toBeLessThanOrEqual(2);
  });
});
