import { describe, expect, it } from 'vitest';
import { importProfiles } from '../../../placement/import/index.js';
import { refusal } from './refusal.js';

const none = { kinds: {}, memory: {}, perToken: {} };
const imported = (table: object, options: Parameters<typeof importProfiles>[3] = none) =>
  importProfiles('muxserve', JSON.stringify(table), 'm.json', options);

describe('the costs of MuxServe', () => {
  it('are a variant for each number of GPUs, with decode by batch and context', () => {
    const costs = (ms: number) => ({ prefill: ms, decoding: ms / 2 });
    const table = {
      '100': { '1': { '32': costs(20), '512': costs(30) }, '4': { '32': costs(24), '512': costs(60) } },
      '50': {},
    };
    const [one, two] = imported(
      { 'llama-7b': { '1': table, '2': table } },
      { ...none, memory: { 'llama-7b': '13GiB' }, perToken: { 'llama-7b': '512KiB' } },
    );
    expect(one).toMatchObject({
      variant: 'tp1',
      parallel: { tensor: 1 },
      memory: { weights: '13GiB', perToken: '512KiB' },
    });
    expect(two).toMatchObject({ variant: 'tp2', parallel: { tensor: 2 } });
    expect(one?.batching === 'continuous' && one.prefill.map(({ tokens }) => tokens)).toEqual([32, 512, 2048]);
    expect(
      one?.batching === 'continuous' && one.decode.map(({ batch, tokens, p50Ms }) => [batch, tokens, p50Ms]),
    ).toEqual([
      [1, 32, 10],
      [1, 512, 15],
      [4, 32, 12],
      [4, 512, 30],
    ]);
  });

  it('leave out what it could not measure', () => {
    const costs = (prefill: number, decoding: number) => ({ prefill, decoding });
    const table = {
      '1': {
        '100': {
          '1': { '32': costs(20, 10), '512': costs(-1, -1) },
          '4': { '32': costs(24, 12), '512': costs(90, -1) },
        },
      },
      '2': { '100': { '1': { '32': costs(-1, -1) } } },
      '4': { '50': { '1': { '32': costs(20, 10) } } },
    };
    const profiles = imported({ 'llama-7b': table });
    expect(profiles).toMatchObject([
      {
        variant: 'tp1',
        prefill: [
          { tokens: 32, p50Ms: 20 },
          { tokens: 2048, p50Ms: 90 },
        ],
        decode: [
          { batch: 1, tokens: 32, p50Ms: 10 },
          { batch: 4, tokens: 32, p50Ms: 12 },
        ],
      },
    ]);
  });

  it.each<[string, RegExp]>([
    ['{\n"a": [1,\n', /^x:2: it is not JSON/],
    ['null', /^x: it is not a table of costs/],
    ['{"m":{"1":null}}', /^x m\.1: give an object by percentage/],
    ['{"m":{"one":{}}}', /^x m\.one: the number of GPUs must be a whole number above 0/],
    [
      '{"m":{"1":{"100":{"1":{"32":{"prefill":0,"decoding":1}}}}}}',
      /^x m\.1\.100\.1\.32\.prefill: give milliseconds above 0, or -1/,
    ],
    [
      '{"m":{"1":{"100":{"1":{"32":{"prefill":"2","decoding":1}}}}}}',
      /^x m\.1\.100\.1\.32\.prefill: give a time in milliseconds/,
    ],
  ])('are refused by their place: %s', (text, message) => {
    const { code, fields } = refusal(() => importProfiles('muxserve', text, 'x', none));
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });
});
