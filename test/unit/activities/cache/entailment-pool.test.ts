import { describe, expect, it } from 'vitest';
import { entailmentOf } from '../../../../activities/cache/index.js';
import type { Backend, Call } from '../../../../activities/connectors/connector.js';
import type { Pools } from '../../../../activities/pools/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { never } from '../../../support/caches.js';

describe('a pool of a model of entailment', () => {
  const CLAIMS = [
    ['a', 'b'],
    ['b', 'a'],
  ] as const;
  async function asks(kind: string, output: JsonObject) {
    const calls: unknown[] = [];
    const used: unknown[] = [];
    const backend = {
      invoke: async (call: Call) => {
        calls.push(call);
        return { output };
      },
    } as unknown as Backend;
    const pool = {
      answersAs: async () => 'nli=triton/deberta@1',
      use: (work: (backend: Backend, at: object, signal: AbortSignal) => unknown, options: object) => {
        used.push(options);
        return work(backend, { kind, model: 'deberta', url: 'u', device: 'd' }, never());
      },
    };
    const model = entailmentOf({ get: () => pool } as unknown as Pools, 'nli', 'ENTAILMENT');
    const scores = await model.scores(CLAIMS, never(), { tenant: 'acme', priority: 'interactive' });
    return { scores, calls, used, identity: await model.identity(never()) };
  }

  it('that classifies gets both directions in one call of the tenant’s, and is read by the label', async () => {
    const results = [{ scores: { ENTAILMENT: 0.9, NEUTRAL: 0.1 } }, { scores: { ENTAILMENT: 0.4, NEUTRAL: 0.6 } }];
    const { scores, calls, used, identity } = await asks('classify', { results });
    expect(scores).toEqual([0.9, 0.4]);
    expect(identity).toBe('nli=triton/deberta@1');
    expect(used).toMatchObject([{ tenant: 'acme', priority: 'interactive' }]);
    expect(calls).toEqual([
      {
        kind: 'classify',
        model: 'deberta',
        with: { labels: ['ENTAILMENT'] },
        input: {
          pairs: [
            { text: 'a', textPair: 'b' },
            { text: 'b', textPair: 'a' },
          ],
        },
      },
    ]);
  });

  it('that reranks gets queries', async () => {
    const { scores, calls } = await asks('rerank', { scores: [0.2, 0.3] });
    expect(scores).toEqual([0.2, 0.3]);
    expect(calls).toMatchObject([
      {
        kind: 'rerank',
        input: {
          pairs: [
            { query: 'a', text: 'b' },
            { query: 'b', text: 'a' },
          ],
        },
      },
    ]);
  });

  it.each<JsonObject>([{}, { results: 'none' }, { results: [null, { scores: null }] }])(
    'gives no score by the output %j',
    async (output) => {
      expect((await asks('classify', output)).scores.every((score) => score === undefined)).toBe(true);
    },
  );
});
