import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseModels } from '../activities/pools/index.js';
import { RECIPE } from '../deploy/local/stack/paths.js';
import { requirePlatform } from '../deploy/local/stack/python.js';
import { ensureVenv } from '../deploy/local/stack/venv.js';
import { describeMachine, thisMachine } from '../measure/inventory/index.js';
import { filesOf, type OptimiseTools, optimise, type Report } from '../measure/optimize/index.js';
import { MillraceError } from '../pipelines/errors.js';
import { readProfile } from '../placement/profiles/index.js';
import type { Settings } from '../workers/settings.js';
import { poolNameOf, type TargetOptions, targetOf } from './optimize-target.js';
import { note, print, show, table } from './output.js';
import { wrongOption } from './place-files.js';

export interface OptimizeCommandOptions extends TargetOptions {
  readonly out?: string;
  readonly deviceKind: string;
  readonly only?: readonly string[];
  readonly samples: number;
  readonly timeLimit: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `millrace optimize`: makes the variants of a model that can be made here, measures them, and writes what placing needs. */
export async function optimizeModel(
  settings: Settings,
  argument: string,
  options: OptimizeCommandOptions,
): Promise<void> {
  const interrupted = new AbortController();
  const stop = () => interrupted.abort(new MillraceError('REQUEST_ABORTED', 'interrupted'));
  process.once('SIGINT', stop);
  try {
    const { report, folder, files } = await optimized(settings, argument, options, interrupted.signal);
    if (options.json) {
      const { profiles: _, ...figures } = report;
      return print(JSON.stringify({ ...figures, folder, files }));
    }
    print(tableOf(report));
    for (const { name, why } of report.skipped) note(`not made: ${name}: ${why}`);
    show(`${folder}: ${files.length} files; pareto.svg shows the choice, profiles/ are for millrace place`);
  } finally {
    process.off('SIGINT', stop);
  }
}

/** The same without output; also for `npm run bench:optimize`. */
export async function optimized(
  settings: Settings,
  argument: string,
  options: OptimizeCommandOptions,
  signal: AbortSignal,
): Promise<{ readonly report: Report; readonly folder: string; readonly files: readonly string[] }> {
  const folder = path.resolve(options.out ?? path.join('optimized', poolNameOf(argument, options)));
  // Before minutes of work, not after it.
  if (!options.force && existsSync(folder) && readdirSync(folder).length > 0)
    throw wrongOption('--out', `${folder} is not empty: name another folder, or pass --force to replace its files`);
  const { tools, packages } = await toolsOf(settings);
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
  for (const file of files) {
    const to = path.join(folder, file.path);
    mkdirSync(path.dirname(to), { recursive: true });
    if ('copyOf' in file) cpSync(file.copyOf, to, { recursive: true, force: true });
    else writeFileSync(to, checked(file.path, file.text), { mode: file.path.endsWith('.sh') ? 0o755 : 0o644 });
  }
  return { report, folder, files: files.map(({ path: each }) => each) };
}

/** What is written must be read again by the commands that come next. */
function checked(file: string, text: string): string {
  if (file.startsWith('profiles/')) readProfile(text, file);
  if (file === 'models.json') parseModels(JSON.parse(text), file);
  return text;
}

async function toolsOf(settings: Settings): Promise<{ readonly tools: OptimiseTools; readonly packages: string }> {
  requirePlatform();
  const { MILLRACE_VENV: folder, MILLRACE_PYTHON: explicitPython } = settings;
  const shared = { explicitPython, env: process.env, onStep: note };
  const venv = await ensureVenv({ ...shared, folder, recipe: RECIPE });
  let converter: ReturnType<OptimiseTools['converter']> | undefined;
  const install = async () => {
    const own = await ensureVenv({ ...shared, folder: `${folder}-optimize`, recipe: path.join(RECIPE, 'optimize') });
    return { python: own.python.executable, packages: own.packages };
  };
  const python = venv.python.executable;
  const tools: OptimiseTools = {
    ...{ recipe: RECIPE, python },
    converter() {
      converter ??= install();
      return converter;
    },
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
