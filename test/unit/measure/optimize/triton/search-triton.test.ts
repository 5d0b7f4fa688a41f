import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Backend, CallContext } from '../../../../../activities/connectors/index.js';
import { tritonFilesOf } from '../../../../../measure/optimize/triton/files.js';
import { searchTriton, type TritonSearchOptions } from '../../../../../measure/optimize/triton/search-triton.js';
import { spaceOf } from '../../../../../measure/optimize/triton/settings.js';
import type { SampleAudio } from '../../../../../measure/profiling/index.js';
import { MillraceError } from '../../../../../pipelines/errors.js';
import { scalarOf } from '../../../../../placement/apply/index.js';
import { LATE_ONCE } from '../../../../support/soonest.js';

const CONFIG = 'max_batch_size: 8\ninstance_group [ { count: 1 } ]\ndynamic_batching { }\n';

/** A server whose model takes as long as `costMs` says of the configuration that is loaded; two instances do not load. */
function rig(costMs: (config: string) => number) {
  let loaded = '';
  const used: string[] = [];
  const backend = {
    endpoint: 'e',
    invoke: async (_: unknown, { signal }: CallContext) => {
      await sleep(costMs(loaded), undefined, { signal });
      return { output: {} };
    },
  } as unknown as Backend;
  const model = {
    name: 'm-trial',
    use: async (config: string) => {
      used.push(config);
      if (config.includes('count: 2')) throw new MillraceError('BACKEND_REJECTED', 'no room for two');
      loaded = config;
    },
  };
  const example = { sizes: [1], with: {}, input: () => ({}) };
  const space = spaceOf('m', CONFIG, { maxInstances: 2 });
  const subject = { kind: 'embed', backend, example, size: 1, audio: {} as SampleAudio, space };
  const search = (more: Partial<TritonSearchOptions> = {}) =>
    searchTriton(subject, model, {
      ...{ concurrency: 8, trials: 30, timeLimitMs: 60_000, windowMs: 20, onStep: () => undefined },
      ...{ signal: new AbortController().signal, ...more },
    });
  return { search, used };
}
const batchOf = (config: string) => Number(scalarOf(config, 'max_batch_size'));

describe('the search of a Triton’s settings', () => {
  // Smaller batches are faster here, down to four.
  const cost = (config: string) => 10 + 60 * Math.abs(Math.log2(batchOf(config) / 4));

  it(
    'finds what is faster, confirms it beside the author’s, and merges it into the author’s file',
    LATE_ONCE,
    async () => {
      const { search, used } = rig(cost);
      const found = await search();
      expect(found.confirmed).toBe(true);
      expect(found.chosen).toMatchObject({ max_batch_size: 4, instance_count: 1 });
      expect(batchOf(found.config)).toBe(4);
      expect(found.trials[0]).toMatchObject({ max_batch_size: 8 });
      expect(used[0]).toBe(CONFIG);
      expect(found.failed.length).toBeGreaterThan(0);
      for (const { settings, why } of found.failed) {
        expect(settings.instance_count).toBe(2);
        expect(why).toContain('no room for two');
      }
      expect(found.compared?.best).toHaveLength(2);
      expect(found.trials.find(({ max_batch_size: size }) => size === 8)?.onFront).toBe(false);
      const report = {
        ...{ ...found, pool: 'p', model: 'm', endpoint: 'e', server: 't', machine: '2 x CPU', concurrency: 8 },
        ...{ measuredAt: '', input: 'characters 40' },
      };
      const files = tritonFilesOf(report);
      expect(files.map(({ path }) => path)).toEqual(['pareto.svg', 'triton/m/config.pbtxt']);
      const [picture, config] = files.map((file) => ('text' in file ? file.text : ''));
      expect(picture?.match(/<circle /g)).toHaveLength(found.trials.length);
      expect(picture).not.toContain('NaN');
      expect(config).toContain('# By millrace optimize --triton: with the settings that were fastest.\n');
    },
  );

  it('keeps the author’s where nothing is clearly better', LATE_ONCE, async () => {
    const found = await rig((config) => (config === CONFIG ? 10 : 40)).search();
    expect(found).toMatchObject({ confirmed: false, chosen: { max_batch_size: 8 }, config: CONFIG });
    expect(found.compared).toBeUndefined();
  });

  it('measures no more than it may', async () => {
    const few = await rig(cost).search({ trials: 2 });
    expect(few.trials.length + few.failed.length).toBe(2);
    const short = await rig(cost).search({ timeLimitMs: 0 });
    expect(short.trials).toHaveLength(1);
  });

  it('chooses only what keeps the objective, and else comes as close as it can', LATE_ONCE, async () => {
    // Faster with four, but late.
    const late = await rig(cost).search({ sloP95Ms: 5 });
    expect(late.chosen.max_batch_size).toBe(4);
    expect((await rig(cost).search({ sloP95Ms: 5_000 })).chosen.max_batch_size).toBe(4);
  });

  it('ends when it is interrupted', async () => {
    const stop = new AbortController();
    const found = rig(cost).search({ signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stopped')), 100);
    await expect(found).rejects.toThrow('stopped');
  });
});
