import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseModels } from '../../activities/pools/index.js';
import { readProfiles } from '../../placement/profiles/index.js';
import { testEnvironment } from '../support/settings.js';

/** Some 290 MB of packages. */
const INSTALLED_MS = 15 * 60_000;
const NAMES = ['served', 'int8-dynamic'];
const CLI = path.resolve('dist/cli/main.js');
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-'));

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
});

describe('millrace optimize', () => {
  const out = path.join(folder, 'minilm');
  // Time decides nothing here: few variants, and the least number of rounds. What converts weights may have to be installed first.
  const quick = ['--samples', '5', '--time-limit', '1s', '--json'];

  it(
    'makes int8 of MiniLM in float32, measures it, and writes what the planner and the pools read',
    async () => {
      const data = path.join(folder, 'data.jsonl');
      const pairs = readFileSync('deploy/local/optimize/data/minilm.jsonl', 'utf8').split('\n').slice(20, 32);
      writeFileSync(data, pairs.join('\n'));
      const { code, stdout, stderr } = await millrace(
        'minilm',
        '--data',
        data,
        '--out',
        out,
        '--only',
        NAMES.join(),
        ...quick,
      );
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const { variants, skipped } = figures.parse(JSON.parse(stdout));
      expect(variants.map(({ variant }) => variant)).toEqual(['fp32', ...NAMES]);
      expect(skipped.map(({ name }) => name)).toEqual(['fp16']);
      const of = (name: string) => variants.find(({ variant }) => variant === name);
      // The graph that was made of the weights is the model: another one’s int8 file agrees with it.
      expect(of('fp32')?.figures).toMatchObject({ cosine: 1, rank: 1 });
      expect(of('served')?.figures.cosine).toBeGreaterThan(0.99);
      expect(of('int8-dynamic')?.figures.cosine).toBeGreaterThan(0.9);
      expect(of('int8-dynamic')?.quality).toBeGreaterThan(0.7);
      expect(of('int8-dynamic')?.weightsMiB).toBeLessThan((of('fp32')?.weightsMiB ?? 0) / 3);
      expect(of('int8-dynamic')?.memoryMiB).toBeLessThan(of('fp32')?.memoryMiB ?? 0);

      const front = variants.filter(({ onFront }) => onFront).map(({ variant }) => variant);
      const pool = parseModels(JSON.parse(readFileSync(path.join(out, 'models.json'), 'utf8')), 'models.json').minilm;
      expect(Object.keys(pool?.variants ?? {}).sort()).toEqual([...front].sort());
      const profiles = path.join(out, 'profiles');
      const read = readProfiles(
        readdirSync(profiles).map((file) => ({ file, text: readFileSync(path.join(profiles, file), 'utf8') })),
      );
      expect(read.map(({ value }) => value.variant).sort()).toEqual([...front].sort());
      expect(readFileSync(path.join(out, 'pareto.svg'), 'utf8').match(/<circle /g)).toHaveLength(variants.length);
      for (const variant of front)
        expect(existsSync(path.join(out, 'triton', `minilm-${variant}`, '1', 'model.onnx'))).toBe(true);
    },
    INSTALLED_MS,
  );

  it('replaces no file unless it is told to', async () => {
    const { code, stderr } = await millrace('minilm', '--out', out, ...quick);
    expect(code).toBe(2);
    expect(stderr).toContain('INVALID_INPUT');
    expect(stderr).toContain('is not empty');
  });
});
