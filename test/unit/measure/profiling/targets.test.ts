import { describe, expect, it } from 'vitest';
import { parseModels } from '../../../../activities/pools/index.js';
import { targetsOf } from '../../../../measure/profiling/index.js';
import { supportAgent, voiceAssistant } from '../../../../pipelines/catalog/index.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { refusal } from '../../placement/refusal.js';

const pool = (connector: string, kind: string, ...devices: readonly string[]) => ({
  connector,
  model: `served-${kind}`,
  kind,
  endpoints: devices.map((device) => ({ url: `${device.replaceAll('/', '-')}:8001`, device })),
});
const models = parseModels(
  {
    whisper: pool('triton', 'transcribe', 'gpu1/0', 'gpu1/1', 'cpu1/0'),
    minilm: pool('triton', 'embed', 'cpu1/0'),
    assistant: pool('openai', 'chat', 'gpu1/0'),
    tts: pool('triton', 'synthesize', 'elsewhere'),
  },
  'models.json',
);
const CLUSTER = `format: 1
nodes:
  - { name: gpu1, devices: [{ kind: a100, count: 2, memory: 80GiB }] }
  - { name: cpu1, devices: [{ kind: xeon, memory: 64GiB }] }
endpoints:
  - { url: "elsewhere:8001", connector: triton, device: gpu1/1 }
`;
const { plan } = voiceAssistant;

describe('what is profiled', () => {
  it('is each model once for each kind of device, by the inventory', () => {
    const targets = targetsOf(plan, models, { inventory: readInventory(CLUSTER) });
    expect(targets.map(({ model, deviceKind, endpoint }) => [model, deviceKind, endpoint.url])).toEqual([
      ['whisper', 'a100', 'gpu1-0:8001'],
      ['whisper', 'xeon', 'cpu1-0:8001'],
      ['minilm', 'xeon', 'cpu1-0:8001'],
      ['assistant', 'a100', 'gpu1-0:8001'],
      ['tts', 'a100', 'elsewhere:8001'],
    ]);
    expect(targets.find(({ model }) => model === 'assistant')?.with).toMatchObject({ maxTokens: 64 });
    expect(targets.find(({ model }) => model === 'minilm')?.stages).toEqual(['answer.embed']);
  });

  it('is the model of an agent', () => {
    const targets = targetsOf(supportAgent.plan, models, { deviceKind: 'cpu' });
    expect(targets.map(({ model, stages }) => [model, stages])).toEqual([['assistant', ['answer']]]);
  });

  it('is the model of a stage alone, on the kind that is named', () => {
    const targets = targetsOf(plan, models, { deviceKind: 'cpu' }, ['speak']);
    expect(targets.map(({ model, deviceKind }) => [model, deviceKind])).toEqual([['tts', 'cpu']]);
  });

  it('is the variant that is named, where a pool has variants', () => {
    const variants = { int8: { model: 'minilm-int8', quality: 0.8 } };
    const file = { minilm: { ...pool('triton', 'embed', 'cpu1/0'), variants }, whisper: models.whisper };
    const some = { ...models, ...parseModels(file, 'models.json') };
    const named = (variant?: string) =>
      targetsOf(plan, some, { deviceKind: 'cpu' }, ['transcribe', 'answer.embed'], variant).map(
        (target) => target.pool.model,
      );
    expect(named('int8')).toEqual(['served-transcribe', 'minilm-int8']);
    expect(named()).toEqual(['served-transcribe', 'served-embed']);
    expect(refusal(() => named('int4'))).toEqual({
      code: 'INVALID_INPUT',
      fields: [
        expect.stringMatching(
          /^--variant: the pool "minilm" has no variant "int4" \(did you mean "int8"\?\): add variants\.int4 /,
        ),
      ],
    });
  });

  it('is refused by the name of what is wrong', () => {
    const all = { deviceKind: 'cpu' };
    expect(refusal(() => targetsOf(plan, models, all, ['speek']))).toEqual({
      code: 'INVALID_INPUT',
      fields: ['--stage: no pool serves a stage "speek" of voice-assistant (did you mean "speak"?)'],
    });
    const { whisper: _, ...without } = models;
    expect(refusal(() => targetsOf(plan, without, all))).toMatchObject({ code: 'MODEL_NOT_CONFIGURED' });
    const blind = readInventory(CLUSTER.slice(0, CLUSTER.indexOf('endpoints')));
    const { code, fields } = refusal(() => targetsOf(plan, models, { inventory: blind }));
    expect([code, fields[0]]).toEqual(['INVALID_INPUT', expect.stringContaining('where elsewhere:8001 runs')]);
  });
});
