import { describe, expect, it } from 'vitest';
import { calledBy } from '../../../../placement/apply/ensembles.js';
import { generate } from '../../../../placement/apply/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';
import { base, inventory, options } from './generated.js';

const ensembleOf = (...steps: readonly string[]) =>
  `platform: "ensemble"\nmax_batch_size: 8 # of all\nensemble_scheduling {\n  step [\n${steps
    .map((name) => `    { model_name: "${name}" model_version: -1 input_map { key: "a", value: "b" } }`)
    .join(',\n')}\n  ]\n}\n`;

describe('the parts of an ensemble', () => {
  const configs: Record<string, string> = {
    whisper_large: ensembleOf('preprocess', 'inner'),
    inner: 'ensemble_scheduling { step { model_name: "encoder" } step { model_name: \'whisper_large\' } }',
    preprocess: 'backend: "python"\nparameters { key: "model_name" value: { string_value: "no" } }',
    outside: ensembleOf('../secret', '..', 'a/b'),
  };

  it('are those that it names, and those that these name, each once', () => {
    const configOf = (model: string) => configs[model];
    expect(calledBy(['whisper_large', 'minilm'], configOf)).toEqual(['preprocess', 'inner', 'encoder']);
    expect(calledBy(['whisper_large', 'encoder'], configOf)).toEqual(['preprocess', 'inner']);
    expect(calledBy(['preprocess', 'minilm'], configOf)).toEqual([]);
    expect(calledBy(['outside'], configOf)).toEqual([]);
  });

  it('are in the repository of each server that has it, as their author configured them', () => {
    const placed = placementOf([placedPool('whisper', [['gpu1/0'], ['gpu1/1']]), placedPool('minilm', [['gpu1/2']])]);
    const { linked, files } = generate(placed, inventory, {
      ...options,
      base,
      configOf: (model) => configs[model] ?? '',
      configIfAny: (model) => configs[model],
    });
    expect(linked.map(({ path }) => path)).toEqual(
      ['triton-gpu1-0', 'triton-gpu1-1'].flatMap((server) =>
        ['preprocess', 'inner', 'encoder'].map((model) => `triton/${server}/${model}`),
      ),
    );
    expect(files.filter(({ path }) => path.includes('preprocess'))).toEqual([]);
  });
});
