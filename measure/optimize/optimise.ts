import { mkdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { LlmProgram } from './llm-server.js';
import { questionsOf } from './quality.js';
import { bytesOf, type Report, reportOf } from './report.js';
import { LlmRunner, PythonRunner, type Runner, runScript } from './runner.js';
import type { Subject, Tried } from './subject.js';
import { type Loaded, type TimingOptions, timeVariants } from './time-variants.js';
import { type Family, ggufVariants, type Skipped, type Variant, type VariantPlan } from './variants.js';

/** Programs and folders that optimising needs; the command finds them. */
export interface OptimiseTools {
  /** `deploy/local`. */
  readonly recipe: string;
  /** Interpreter of the embedded servers' packages. */
  readonly python: string;
  /** Interpreter of the conversions, which are installed when they are first needed. */
  converter(): Promise<string>;
  /** Folder of the packages with the weights that embedded models are made of, likewise. */
  originals(): Promise<string>;
  readonly llm: LlmProgram;
}

export interface OptimiseOptions extends Omit<TimingOptions, 'batches'> {
  /** Folder for the weights that are made. */
  readonly work: string;
  /** Names of variants beside the original; absent: all. */
  readonly only?: readonly string[] | undefined;
  readonly machine: string;
  readonly now: Date;
  readonly onStep: (detail: string) => void;
}

/** Numbers of inputs that are sent together: only the encoder takes several at once. */
const BATCHES: Readonly<Record<Family, readonly number[]>> = { embed: [1, 8, 32], transcribe: [1], chat: [1] };
const ENDINGS: Readonly<Record<Family, string>> = { embed: '.onnx', transcribe: '', chat: '.gguf' };
const MOST_TOKENS = 256;
/** Left free on the disk and in memory for everything else. */
const SPARE_BYTES = 512 * 2 ** 20;

/**
 * Makes the variants of a model, loads each in a process of its own, compares its answers with the expected ones, and
 * times all of them in turn. A variant that cannot be made or loaded is skipped, with the reason; the original must be.
 * Throws `PROFILE_UNMEASURED`.
 */
export async function optimise(
  subject: Subject,
  plan: VariantPlan | ((weights: string) => Promise<VariantPlan>),
  tools: OptimiseTools,
  options: OptimiseOptions,
): Promise<Report> {
  const { family, examples } = subject;
  mkdirSync(options.work, { recursive: true });
  const workshop = new Workshop(subject, tools, options);
  const original = await workshop.original();
  const { variants: planned, skipped } = typeof plan === 'function' ? await plan(original) : plan;
  const variants = chosen(planned, options.only);
  const left: Skipped[] = [...skipped];
  const loaded: (Loaded & { readonly variant: Variant; readonly weights: string })[] = [];
  try {
    const tried: Omit<Tried, 'samples' | 'memoryMiB'>[] = [];
    const questions = questionsOf(family, examples);
    for (const variant of variants) {
      options.signal.throwIfAborted();
      options.onStep(`loading ${variant.name}: ${variant.what}`);
      try {
        const weights = await workshop.weightsOf(variant, original);
        const runner = await workshop.load(variant, weights);
        loaded.push({ name: variant.name, runner, variant, weights });
        // One by one, as a caller asks: in a batch the answers of an encoder depend on its neighbours a little.
        const answers = [];
        for (const question of questions) {
          options.signal.throwIfAborted();
          answers.push(await runner.answer([question]));
        }
        const outputs = answers.flatMap((answer) => answer.outputs);
        tried.push({ variant, weights, outputs, units: answers.map(({ units }) => units) });
      } catch (error) {
        options.signal.throwIfAborted();
        if (variant === variants[0]) throw error;
        left.push({ name: variant.name, why: messageOf(error) });
        const failed = loaded.findIndex(({ name }) => name === variant.name);
        if (failed !== -1) await loaded.splice(failed, 1)[0]?.runner.stop();
      }
    }
    options.onStep(`timing ${loaded.length} variants in turn`);
    const inputs = examples.map(({ input }) => input);
    const { samples, failed } = await timeVariants(loaded, inputs, { ...options, batches: BATCHES[family] });
    left.push(...[...failed].map(([name, why]) => ({ name, why })));
    return reportOf(subject, {
      tried: tried.flatMap((each) => {
        const runner = loaded.find(({ name }) => name === each.variant.name)?.runner;
        const timed = samples.get(each.variant.name);
        return runner && timed ? [{ ...each, samples: timed, memoryMiB: runner.memoryMiB() }] : [];
      }),
      skipped: left,
      machine: options.machine,
      measuredAt: options.now.toISOString(),
      load: loadavg().map((value) => Number(value.toFixed(2))),
    });
  } finally {
    await Promise.all(loaded.map(({ runner }) => runner.stop()));
  }
}

/** The original, and of the others those that are named. Throws `INVALID_INPUT` for a name that none has. */
export function chosen(planned: readonly Variant[], only: readonly string[] | undefined): readonly Variant[] {
  if (only === undefined) return planned;
  const names = planned.map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw invalidField('--only', `there is no variant "${unknown}" here: ${names.join(', ')}`);
  return planned.filter(({ name }, i) => i === 0 || only.includes(name));
}

/** The plan for a GGUF file, whose types of tensors are read from it. */
export const ggufPlan =
  (tools: OptimiseTools, cores: number, requantise: boolean) =>
  async (weights: string): Promise<VariantPlan> => {
    const python = await tools.converter();
    const script = path.join(tools.recipe, 'optimize', 'convert.py');
    const text = await runScript(python, script, { op: 'gguf-types', from: weights });
    const { elements, rowsOf256 } = JSON.parse(text) as {
      readonly elements: Readonly<Record<string, number>>;
      readonly rowsOf256: boolean;
    };
    return ggufVariants({ cores, elements, rowsOf256, requantise });
  };

/** What the runtimes offer on this processor. */
export async function computeTypes({ python, recipe }: OptimiseTools): Promise<readonly string[]> {
  const script = path.join(recipe, 'optimize', 'serve.py');
  const { computeTypes: types } = JSON.parse(await runScript(python, script, {})) as {
    readonly computeTypes: readonly string[];
  };
  return types;
}

/** Makes weights, each once, and loads them. */
class Workshop {
  readonly #made = new Map<string, string>();
  readonly #subject: Subject;
  readonly #tools: OptimiseTools;
  readonly #options: Pick<OptimiseOptions, 'work' | 'onStep' | 'signal'>;

  constructor(subject: Subject, tools: OptimiseTools, options: Pick<OptimiseOptions, 'work' | 'onStep' | 'signal'>) {
    this.#subject = subject;
    this.#tools = tools;
    this.#options = options;
  }

  /** The weights that everything is made of. */
  async original(): Promise<string> {
    const { weights, model } = this.#subject;
    if (typeof weights === 'string') return weights;
    const packages = await this.#tools.originals();
    return this.#convert({ op: weights.op }, path.join(packages, weights.package), `${model}-original`);
  }

  async weightsOf({ name, convert, weights }: Variant, original: string): Promise<string> {
    return convert === undefined ? (weights ?? original) : this.#convert(convert, original, name);
  }

  async #convert(request: JsonObject, from: string, name: string): Promise<string> {
    const key = JSON.stringify(request);
    const before = this.#made.get(key);
    if (before !== undefined) return before;
    const { work, onStep, signal } = this.#options;
    const { tokenizer } = this.#subject;
    const free = statfsSync(work);
    // float32 out of four bits, and a copy of it while it is prepared.
    const needed = 8 * statSync(from).size + SPARE_BYTES;
    if (free.bavail * free.bsize < needed) throw room('on the disk', needed);
    onStep(`making ${name}`);
    const to = path.join(work, `${name}${ENDINGS[this.#subject.family]}`);
    const python = await this.#tools.converter();
    const more = tokenizer === undefined ? {} : { tokenizer, maxTokens: MOST_TOKENS };
    await runScript(python, this.#script('convert.py'), { ...request, ...more, from, to }, signal);
    this.#made.set(key, to);
    return to;
  }

  async load({ name, serve }: Variant, weights: string): Promise<Runner> {
    const { family, tokenizer } = this.#subject;
    const needed = 3 * bytesOf(weights) + SPARE_BYTES;
    if (availableBytes() < needed) throw room('in memory', needed);
    if (family === 'chat') return LlmRunner.start(this.#tools.llm, weights, Number(serve.threads));
    const spec = {
      runtime: family === 'embed' ? 'onnx' : 'ctranslate2',
      weights,
      ...(tokenizer !== undefined && { tokenizer }),
      ...serve,
    };
    return PythonRunner.start(this.#tools.python, this.#script('serve.py'), name, spec);
  }

  readonly #script = (file: string): string => path.join(this.#tools.recipe, 'optimize', file);
}

const room = (where: string, bytes: number): MillraceError =>
  new MillraceError('PROFILE_UNMEASURED', `it needs ${Math.ceil(bytes / 2 ** 20)} MiB ${where}, which are not free`);

function availableBytes(): number {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return kilobytes === undefined ? Number.POSITIVE_INFINITY : Number(kilobytes) * 1_024;
}
