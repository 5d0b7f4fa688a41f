import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModels } from '../../../../activities/pools/index.js';
import { filesOf } from '../../../../measure/optimize/files.js';
import { reportOf } from '../../../../measure/optimize/report.js';
import type { Subject, Tried } from '../../../../measure/optimize/subject.js';
import { blocksOf, fieldNames } from '../../../../placement/apply/pbtxt.js';
import { readProfiles } from '../../../../placement/profiles/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-'));
const weights = path.join(folder, 'w.onnx');
writeFileSync(weights, 'weights');
const llm = { command: '/venv/bin/python', args: ['-I', 'llm_server.py'] };
const found = { machine: '2 x CPU', measuredAt: '2026-11-28T00:00:00.000Z', load: [1, 2, 3], skipped: [] };

const tried = (name: string, ms: number, more: Partial<Tried> = {}): Tried => ({
  variant: { name, what: `${name} weights`, serve: { level: 'all', threads: 2 } },
  weights,
  outputs: [[1, 0, 0]],
  units: [1],
  memoryMiB: 100,
  samples: [1, 8].flatMap((batch) =>
    Array.from({ length: 20 }, (_, i) => ({ ms: ms * batch + i / 100, units: batch, batch, input: 0 })),
  ),
  ...more,
});

function written(subject: Partial<Subject>, all: readonly Tried[], more: object = {}) {
  const examples = [{ input: 'a', expected: [] }];
  const whole: Subject = { model: 'minilm', family: 'embed', weights, examples, ...subject };
  const report = reportOf(whole, { ...found, tried: all });
  const pool = { connector: 'triton', model: 'minilm', kind: 'embed', endpoints: [{ url: 't:8001', device: 'cpu0' }] };
  const files = filesOf(report, { deviceKind: 'cpu', pool, packaged: true, llm, ...more });
  return {
    report,
    files,
    text: (name: string) => files.flatMap((file) => ('text' in file && file.path === name ? [file.text] : []))[0] ?? '',
  };
}

describe('what an encoder’s optimisation writes', () => {
  const dominated = tried('fp32-plain', 9);
  const { report, files, text } = written({}, [tried('fp32', 4), tried('int8', 2, { memoryMiB: 50 }), dominated], {
    triton: 'deploy/local/models/minilm',
  });

  it('has percentiles of single calls, throughput of the largest batch, and the front', () => {
    const [, int8] = report.variants;
    expect(int8).toMatchObject({ variant: 'int8', memoryMiB: 50, quality: 1, samples: 20, onFront: true });
    expect(int8?.p50Ms).toBeCloseTo(2.095);
    expect(int8?.p95Ms).toBeGreaterThan(int8?.p50Ms ?? 0);
    expect(int8?.throughputPerS).toBeCloseTo(8_000 / 16.095, 0);
    expect(report.variants.filter(({ onFront }) => onFront).map(({ variant }) => variant)).toEqual(['int8']);
  });

  it('leaves out a percentile of which there are too few samples', () => {
    const few = written({}, [tried('fp32', 4, { samples: tried('x', 4).samples.slice(0, 5) })]);
    expect(few.report.variants[0]).not.toHaveProperty('p95Ms');
    expect(few.report.variants[0]?.samples).toBe(5);
  });

  it('has a profile of each variant of the front, whose servers it configures, that millrace place reads', () => {
    const profiles = readProfiles(
      files.flatMap((file) =>
        file.path.startsWith('profiles/') && 'text' in file ? [{ file: file.path, text: file.text }] : [],
      ),
    );
    expect(profiles.map(({ value }) => [value.variant, value.deviceKind, value.quality])).toEqual([['int8', 'cpu', 1]]);
    const [first] = profiles;
    expect(first?.value).toMatchObject({ batching: 'dynamic', memory: { weights: 50 * 2 ** 20 } });
    expect(first?.file).toBe('profiles/minilm.int8.cpu.json');
  });

  it('has the pool’s entry with the variants of the front, as the models file takes it', () => {
    const models = parseModels(JSON.parse(text('models.json')), 'models.json');
    expect(models.minilm?.variants).toEqual({
      int8: { model: 'minilm-int8', p50Ms: 2.095, memoryMiB: 50, quality: 1 },
    });
  });

  it('has a model for Triton with the code of the embedded one, its own weights and its vectors’ length', () => {
    const config = text('triton/minilm-int8/config.pbtxt');
    expect(config.startsWith('# By millrace optimize: minilm, int8.\n')).toBe(true);
    expect(blocksOf(config, 'output')).toEqual([' name: "EMBEDDING" data_type: TYPE_FP32 dims: [ 3 ] ']);
    const parameters = blocksOf(config, 'parameters').join();
    for (const part of ['"weights" value: { string_value: "model.onnx"', '"level"', '"threads"', '"fingerprint"'])
      expect(parameters).toContain(part);
    expect([...fieldNames(config)]).toEqual(expect.arrayContaining(['backend', 'max_batch_size', 'dynamic_batching']));
    const copies = files.flatMap((file) => ('copyOf' in file ? [file] : []));
    expect(copies).toContainEqual({ path: 'triton/minilm-int8/1/model.onnx', copyOf: weights });
    expect(copies).toContainEqual({
      path: 'triton/minilm-int8/1/encoder.py',
      copyOf: path.join('deploy/local/models/minilm/1/encoder.py'),
    });
    expect(files.some((file) => file.path.startsWith('triton/minilm-fp32/'))).toBe(false);
  });

  it('has the command line of TensorRT, marked as not run', () => {
    expect(text('gpu/trtexec.sh')).toContain(`exec trtexec --onnx=${weights} --saveEngine=minilm.plan --fp16`);
    expect(text('gpu/trtexec.sh')).toContain('not run by it');
    expect(blocksOf(text('gpu/minilm-tensorrt/config.pbtxt'), 'input')).toHaveLength(3);
    expect([...fieldNames(text('gpu/minilm-tensorrt/config.pbtxt'))]).toContain('optimization');
  });

  it('changes the fingerprint with the weights and with how they are served', () => {
    const fingerprint = (serve: Tried['variant']['serve']) => {
      const own = written({}, [{ ...tried('a', 1), variant: { name: 'a', what: '', serve } }], {
        triton: 'deploy/local/models/minilm',
      });
      return /"fingerprint" value: \{ string_value: "(\w{16})"/.exec(own.text('triton/minilm-a/config.pbtxt'))?.[1];
    };
    expect(fingerprint({ threads: 1 })).not.toBe(fingerprint({ threads: 2 }));
    expect(fingerprint({ threads: 1 })).toBe(fingerprint({ threads: 1 }));
  });
});

describe('what an LLM’s optimisation writes', () => {
  const prompt = { ms: 10, tokens: 12 };
  const samples = Array.from({ length: 20 }, () => ({ ms: 60, units: 25, batch: 1, input: 0, prompt }));
  const llmPool = {
    connector: 'openai',
    model: 'assistant',
    kind: 'chat',
    endpoints: [{ url: 'http://l/v1', device: 'cpu0' }],
  };
  const { report, files, text } = written(
    { model: 'assistant', family: 'chat' },
    [
      tried('q8_0', 1, {
        samples,
        outputs: ['a', 'b', 'c'],
        units: [9, 4, 7],
        variant: { name: 'q8_0', what: '', serve: { threads: 2 } },
      }),
    ],
    { pool: llmPool },
  );

  it('has a profile with the times of a prompt and of a token', () => {
    const [profile] = readProfiles([{ file: 'a.json', text: text('profiles/assistant.q8_0.cpu.json') }]);
    expect(profile?.value).toMatchObject({
      batching: 'continuous',
      prefill: [{ tokens: 12, p50Ms: 10 }],
      decode: [{ batch: 1, p50Ms: 2 }],
      // Of the answers that end where the model ends them, not of those that were timed.
      size: { typicalIn: 12, typicalOut: 7 },
    });
    expect(report.variants[0]?.throughputPerS).toBeCloseTo(25 / 0.06, 0);
  });

  it('has the command of its server, and vLLM’s for a GPU', () => {
    expect(text('commands/assistant-q8_0.sh')).toContain(`exec /venv/bin/python -I llm_server.py --model ${weights}`);
    expect(text('gpu/vllm.sh')).toContain('vllm serve WEIGHTS --served-model-name assistant-fp8 --quantization fp8');
    expect(files.some(({ path: name }) => name.startsWith('triton/'))).toBe(false);
    expect(parseModels(JSON.parse(text('models.json')), 'm').assistant?.variants).toHaveProperty('q8_0');
  });
});

it('writes a profile of speech by the seconds of the recordings', () => {
  const samples = [2.04, 2.01, 7.3].flatMap((units) =>
    Array.from({ length: 3 }, () => ({ ms: 100 * units, units, batch: 1, input: 0 })),
  );
  const whisper = path.join(folder, 'whisper');
  const { text } = written({ model: 'whisper', family: 'transcribe', weights: whisper }, [
    tried('int8', 1, { samples, outputs: ['a'] }),
  ]);
  const [profile] = readProfiles([{ file: 'w.json', text: text('profiles/whisper.int8.cpu.json') }]);
  expect(profile?.value).toMatchObject({
    size: { variable: 'audio_s', typical: 2 },
    latency: [{ size: 2 }, { size: 7.3 }],
  });
});

it('ships evaluation sets that it reads', async () => {
  const { readEvaluation } = await import('../../../../measure/optimize/evaluation.js');
  for (const name of ['minilm', 'minilm-calibration', 'assistant', 'whisper']) {
    const file = `deploy/local/optimize/data/${name}.jsonl`;
    expect(readEvaluation(readFileSync(file, 'utf8'), file).length).toBeGreaterThan(10);
  }
});
