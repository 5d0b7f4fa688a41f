import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseModels } from '../activities/pools/index.js';
import { RECIPE } from '../deploy/local/stack/paths.js';
import { requirePlatform } from '../deploy/local/stack/python.js';
import { ensureVenv, type Venv } from '../deploy/local/stack/venv.js';
import { describeMachine, thisMachine } from '../measure/inventory/index.js';
import { filesOf, type OptimiseTools, optimise, type Report } from '../measure/optimize/index.js';
import { readProfile } from '../placement/profiles/index.js';
import type { Settings } from '../workers/settings.js';
import { interruptible } from './interruptible.js';
import { poolNameOf, type TargetOptions, targetOf } from './optimize-target.js';
import { optimizeTriton, refuseSearchOptions, type TritonOptions } from './optimize-triton.js';
import { note, print, printJson, show, table } from './output.js';
import { outputFolder, writeReport } from './output-folder.js';

export interface OptimizeCommandOptions extends TargetOptions, TritonOptions {
  readonly out?: string;
  readonly deviceKind: string;
  readonly only?: readonly string[];
  readonly samples: number;
  readonly timeLimit: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/**
 * `millrace optimize`: makes the variants of a model that can be made here, measures them, and writes what placing needs; with `--triton`
 * searches the settings of a pool's Triton instead.
 */
export async function optimizeModel(
  settings: Settings,
  argument: string,
  options: OptimizeCommandOptions,
): Promise<void> {
  if (options.triton) return optimizeTriton(settings, argument, options);
  refuseSearchOptions(options);
  await interruptible(async (signal) => {
    const { report, folder, files } = await optimized(settings, argument, options, signal);
    if (options.json) {
      const { profiles: _, ...figures } = report;
      return printJson({ ...figures, folder, files });
    }
    print(tableOf(report));
    for (const { name, why } of report.skipped) note(`not made: ${name}: ${why}`);
    show(`${folder}: ${files.length} files; pareto.svg shows the choice, profiles/ are for millrace place`);
  });
}

/** The same without output; also for `npm run bench:optimize`. */
export async function optimized(
  settings: Settings,
  argument: string,
  options: OptimizeCommandOptions,
  signal: AbortSignal,
): Promise<{ readonly report: Report; readonly folder: string; readonly files: readonly string[] }> {
  // Before minutes of work, not after it.
  const folder = outputFolder(options.out ?? path.join('optimized', poolNameOf(argument, options)), options.force);
  const { tools, packages } = await optimiseTools(settings);
  mkdirSync(folder, { recursive: true });
  const work = path.join(folder, 'weights');
  const target = await targetOf(settings, argument, options, { tools, packages, work });
  const { subject, plan, pool, packaged, tokenizer, triton } = target;
  const report = await optimise(subject, plan, tools, {
    ...{ work, signal, only: options.only, samples: options.samples, timeLimitMs: options.timeLimit, onStep: note },
    machine: describeMachine(await thisMachine()),
    now: new Date(),
  });
  const files = filesOf(report, {
    ...{ pool, packaged, deviceKind: options.deviceKind, llm: tools.llm },
    ...(tokenizer !== undefined && { tokenizer }),
    ...(triton !== undefined && { triton: path.join(RECIPE, 'models', triton) }),
  });
  for (const file of files) if ('text' in file) check(file.path, file.text);
  const { profiles: _, ...figures } = report;
  const written = writeReport(folder, figures, files, {
    made: report.variants.map(({ weights }) => weights),
    inUse: typeof subject.weights === 'string' ? [subject.weights] : [],
  });
  return { report, folder, files: written };
}

/** What is written must be read again by the commands that come next. */
function check(file: string, text: string): void {
  if (file.startsWith('profiles/')) readProfile(text, file);
  if (file === 'models.json') parseModels(JSON.parse(text), file);
}

/** What `millrace optimize` runs: the embedded servers’ packages, and beside them what converts weights. */
export async function optimiseTools(
  settings: Settings,
): Promise<{ readonly tools: OptimiseTools; readonly packages: string }> {
  requirePlatform();
  const { MILLRACE_VENV: folder, MILLRACE_PYTHON: explicitPython } = settings;
  const shared = { explicitPython, env: process.env, onStep: note };
  const venv = await ensureVenv({ ...shared, folder, recipe: RECIPE });
  /** A venv beside that of the embedded servers, made when it is first needed. */
  const further = (name: string, recipe: string) => {
    let made: Promise<Venv> | undefined;
    return () => {
      const options = { ...shared, pythons: [venv.python.version], beside: path.resolve(venv.packages) };
      made ??= ensureVenv({ ...options, folder: `${folder}-${name}`, recipe: path.join(RECIPE, recipe) });
      return made;
    };
  };
  const [converter, minilm] = [further('optimize', 'optimize'), further('optimize-minilm', 'optimize/minilm')];
  const python = venv.python.executable;
  const tools: OptimiseTools = {
    ...{ recipe: RECIPE, python },
    converter: async () => (await converter()).python.executable,
    originals: async () => (await minilm()).packages,
    llm: { command: python, args: ['-I', path.join(RECIPE, 'llm_server.py')] },
  };
  return { tools, packages: venv.packages };
}

/** The figures, the fastest first; those that no other variant beats are marked. */
export function tableOf({ variants, unit }: Report): string {
  const rows = [...variants]
    .sort((a, b) => a.p50Ms - b.p50Ms)
    .map((each) => [
      each.onFront ? '*' : '',
      each.variant,
      Number(each.p50Ms.toFixed(1)),
      each.p95Ms === undefined ? '-' : Number(each.p95Ms.toFixed(1)),
      each.throughputPerS,
      each.memoryMiB,
      each.weightsMiB,
      each.quality,
      Object.entries(each.figures)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    ]);
  const headings = ['', 'variant', 'p50 ms', 'p95 ms', `${unit}/s`, 'memory MiB', 'weights MiB', 'quality', 'of'];
  return table(headings, rows);
}
