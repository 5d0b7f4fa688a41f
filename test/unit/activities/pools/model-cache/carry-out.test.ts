import { expect, it } from 'vitest';
import { carryOut } from '../../../../../activities/pools/model-cache/carry-out.js';
import type { SharedModels } from '../../../../../activities/pools/model-cache/shared-models.js';
import { MillraceError } from '../../../../../pipelines/errors.js';

/* What a change ends with where the server does one half of it. */

function changing(refuses: 'load' | 'unload') {
  const log: string[] = [];
  const ends: object[] = [];
  const refused = (what: string) => Promise.reject(new MillraceError('BACKEND_REJECTED', `${what} is not allowed`));
  const done = carryOut({
    ...{ model: 'new', victims: ['old'], endpoint: 'one' },
    repository: {
      states: async () => new Map(),
      load: async (model) => void (refuses === 'load' ? await refused('load') : log.push(`load ${model}`)),
      unload: async (model) => void (refuses === 'unload' ? await refused('unload') : log.push(`unload ${model}`)),
    },
    shared: {
      renew: async () => true,
      finish: async (_: string, end: object) => void ends.push(end),
    } as unknown as SharedModels,
    closing: new AbortController().signal,
    unloaded: () => undefined,
  });
  return { done, log, ends };
}

it('a model that the server does not load is not tried again at once', async () => {
  const { done, log, ends } = changing('load');
  await expect(done).rejects.toMatchObject({ code: 'MODEL_NOT_LOADED', message: 'new at one: load is not allowed' });
  expect(log).toEqual(['unload old']);
  expect(ends).toEqual([{ failure: 'new at one: load is not allowed', unloaded: ['old'], kept: [] }]);
});

it('a model in whose way another one stays is tried again: the server has not refused it', async () => {
  const { done, log, ends } = changing('unload');
  await expect(done).rejects.toMatchObject({
    ...{ code: 'BACKEND_UNAVAILABLE', details: { endpoint: 'one', unsent: true } },
    message: 'new at one: room for it could not be made: unload is not allowed',
  });
  expect(log).toEqual([]);
  expect(ends).toEqual([{ unloaded: [], kept: ['old'] }]);
});
