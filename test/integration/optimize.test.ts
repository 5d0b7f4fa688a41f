import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseModels } from '../../activities/pools/index.js';
import { optimiseTools } from '../../cli/optimize.js';
import { runScript } from '../../measure/optimize/index.js';
import { readProfiles } from '../../placement/profiles/index.js';
import { testEnvironment, testSettings } from '../support/settings.js';

/** What converts weights is installed first, some 100 MB. */
const INSTALLED_MS = 10 * 60_000;
const CLI = path.resolve('dist/cli/main.js');
const TINY = 'test/fixtures/optimize/tiny.py';
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-'));
const inFolder = (name: string) => path.join(folder, name);
const lines = (file: string, all: readonly object[]) => {
  writeFileSync(inFolder(file), all.map((each) => JSON.stringify(each)).join('\n'));
  return inFolder(file);
};

const millrace = (...args: readonly string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(CLI, ['optimize', ...args], { env: { ...process.env, ...testEnvironment() } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

const figures = z.object({
  variants: z.array(
    z.object({
      variant: z.string(),
      p50Ms: z.number().positive(),
      memoryMiB: z.number().positive(),
      weightsMiB: z.number().positive(),
      quality: z.number().min(0).max(1),
      figures: z.record(z.string(), z.number()),
      onFront: z.boolean(),
    }),
  ),
  skipped: z.array(z.object({ name: z.string(), why: z.string() })),
  files: z.array(z.string()),
});

let converter = '';
beforeAll(async () => {
  const { tools } = await optimiseTools(testSettings());
  converter = await tools.converter();
  execFileSync(converter, ['-I', '-B', TINY, 'encoder', folder]);
}, INSTALLED_MS);

describe('millrace optimize', () => {
  const out = inFolder('tiny');
  const data = lines('data.jsonl', [
    { input: 'red river bridge', expected: 'bridge red river' },
    { input: 'seven white tower', expected: 'white tower seven' },
    { input: 'north hill road', expected: 'road north hill' },
    { input: 'black lake ten', expected: 'lake ten black' },
  ]);
  const calibration = lines('calibration.jsonl', [{ input: 'green south eight' }, { input: 'blue east west nine' }]);
  // Time decides nothing here: the least number of rounds.
  const optimised = async (only: string, ...more: readonly string[]) => {
    const { code, stdout, stderr } = await millrace(
      ...[inFolder('encoder.onnx'), '--tokenizer', inFolder('tokenizer.json'), '--as', 'tiny', '--out', out],
      ...['--data', data, '--calibration', calibration, '--only', only],
      ...['--samples', '5', '--time-limit', '1s', '--json', ...more],
    );
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    return figures.parse(JSON.parse(stdout));
  };
  const profiles = () =>
    readProfiles(
      readdirSync(path.join(out, 'profiles')).map((file) => ({
        ...{ file, text: readFileSync(path.join(out, 'profiles', file), 'utf8') },
      })),
    ).map(({ value }) => value.variant);

  it('makes int8 of an encoder in both ways, measures it, and writes what the planner and the pools read', async () => {
    const { variants, skipped } = await optimised('int8-dynamic,int8-static');
    expect(variants.map(({ variant }) => variant)).toEqual(['fp32', 'int8-dynamic', 'int8-static']);
    expect(skipped.map(({ name }) => name)).toEqual(['fp16']);
    const [fp32, ...quantised] = variants;
    expect(fp32).toMatchObject({ quality: 1, figures: { cosine: 1, rank: 1 } });
    for (const { variant, quality, figures: of } of quantised) {
      const made = readFileSync(path.join(out, 'weights', `${variant}.onnx`));
      expect(made.includes('QuantizeLinear')).toBe(true);
      expect(made.length).toBeLessThan(readFileSync(inFolder('encoder.onnx')).length);
      expect(of.cosine).toBeGreaterThan(0.95);
      expect(quality).toBe(1);
    }
    const front = variants.filter(({ onFront }) => onFront).map(({ variant }) => variant);
    const pool = parseModels(JSON.parse(readFileSync(path.join(out, 'models.json'), 'utf8')), 'models.json').tiny;
    expect(Object.keys(pool?.variants ?? {}).sort()).toEqual([...front].sort());
    expect(profiles().sort()).toEqual([...front].sort());
    expect(readFileSync(path.join(out, 'pareto.svg'), 'utf8').match(/<circle /g)).toHaveLength(variants.length);
    for (const variant of front)
      expect(existsSync(path.join(out, 'triton', `tiny-${variant}`, '1', 'model.onnx'))).toBe(true);
  });

  it('replaces no file unless it is told to, and then leaves nothing of the run before', async () => {
    const { code, stderr } = await millrace('minilm', '--out', out);
    expect(code).toBe(2);
    expect(stderr).toContain('INVALID_INPUT');
    expect(stderr).toContain('is not empty');
    writeFileSync(path.join(out, 'profiles', 'README'), 'mine');
    const { files } = await optimised('fp32-plain', '--force');
    expect(existsSync(path.join(out, 'weights', 'int8-static.onnx'))).toBe(false);
    const there = readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(out, path.join(entry.parentPath, entry.name)));
    expect(there.sort()).toEqual([...files, 'profiles/README'].sort());
  });
});

describe('a GGUF', () => {
  const convert = 'deploy/local/optimize/convert.py';
  const typesOf = async (file: string) =>
    JSON.parse(await runScript(converter, convert, { op: 'gguf-types', from: file })) as unknown;

  it.each(['F16', 'Q8_0', 'Q5_1', 'Q5_0', 'Q4_1', 'Q4_0'])('is written with tensors of %s', async (type) => {
    const [from, to] = [inFolder('tiny.gguf'), inFolder(`${type}.gguf`)];
    if (!existsSync(from)) execFileSync(converter, ['-I', '-B', TINY, 'gguf', from]);
    expect(await typesOf(from)).toEqual({ elements: { F32: 512 }, rowsOf256: false });
    await runScript(converter, convert, { op: 'gguf', type, from, to });
    expect(await typesOf(to)).toEqual({ elements: { [type]: 512 }, rowsOf256: false });
    // Texts of the metadata are the same.
    for (const text of ['tokenizer.ggml.tokens', 'ü', 'tiny']) expect(readFileSync(to).includes(text)).toBe(true);
  });
});
