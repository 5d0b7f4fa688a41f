/**
 * Variants of the embedded servers' models: made, loaded in processes of their own, measured in turn, and compared on the evaluation
 * sets that come with them, by the code of `millrace optimize`. Prints time, memory and quality of each.
 *
 *   npm run bench:optimize [-- --json] [--only minilm,whisper,assistant] [--samples N] [--out FOLDER]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { optimized, tableOf } from '../../cli/optimize.js';
import type { Report } from '../../measure/optimize/index.js';
import { readSettings } from '../../workers/settings.js';
import { loadAverages, note } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    only: { type: 'string', default: 'minilm,whisper,assistant' },
    samples: { type: 'string', default: '40' },
    out: { type: 'string' },
  },
});
const TIME_LIMIT_MS = 120_000;

const settings = readSettings(environmentOf({ name: 'bench-optimize', portBase: 7880 }));
const folder = options.out ?? mkdtempSync(path.join(tmpdir(), 'millrace-bench-optimize-'));
const reports: Record<string, Report> = {};
try {
  for (const model of options.only.split(',')) {
    note(`${model}, load ${loadAverages().join(', ')}`);
    const { report } = await optimized(
      settings,
      model,
      {
        ...{ out: path.join(folder, model), deviceKind: 'cpu', force: true },
        // The weights of the embedded LLM are quantised, and there are no others.
        ...{ requantise: true, samples: Number(options.samples), timeLimit: TIME_LIMIT_MS },
      },
      new AbortController().signal,
    );
    reports[model] = report;
    if (!options.json) process.stdout.write(`${model}\n${tableOf(report)}\nload ${report.load.join(', ')}\n\n`);
  }
  if (options.json) {
    const figures = Object.entries(reports).map(([model, { variants }]) => [
      model,
      variants.map(({ serve: _, weights: __, ...each }) => each),
    ]);
    process.stdout.write(`${JSON.stringify(Object.fromEntries(figures))}\n`);
  }
} finally {
  if (options.out === undefined) rmSync(folder, { recursive: true });
}
