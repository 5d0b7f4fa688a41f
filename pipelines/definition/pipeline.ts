import { z } from 'zod';
import { type Duration, durationMs } from '../duration.js';
import { MillraceError } from '../errors.js';
import type { Binding } from '../plan/binding.js';
import { seal } from '../plan/hash.js';
import { allSteps, isStage, PLAN_VERSION, type RecordLevel } from '../plan/plan.js';
import { reserveOf } from '../plan/reserve.js';
import { withHeard } from '../plan/streams.js';
import type { StageUse } from '../stages/kind.js';
import { broken } from './broken.js';
import type { Control } from './control.js';
import type { OnLeave, Pipeline } from './defined.js';
import { invalid, unknownOption } from './invalid.js';
import { checkJsonValues } from './json-values.js';
import { checkedMcp, type McpOption } from './mcp.js';
import { modelFaces, type OpenAiOption, whyNoModel } from './openai.js';
import { withPieces } from './pieces.js';
import { type Bind, type Bound, type Ref, reference, schemaOf, toBinding } from './reference.js';
import type { OfKind, Suited, Synchronous } from './refused.js';
import { jsonSchema } from './schema.js';
import type { StageOptions } from './stage-options.js';
import { checkName, checkSynchronous, Tracer } from './trace.js';

/** Argument of the traced function. */
export interface Trace<I> extends Control {
  /** The run's input. */
  readonly input: Ref<I>;
  /** Adds a stage and returns a reference to its output. Stages that do not depend on each other run in parallel. */
  stage<SI, SO, Kind extends string, const Options extends StageOptions<NoInfer<SI>, NoInfer<SO>>>(
    id: string,
    use: StageUse<SI, SO> & OfKind<Kind>,
    input: Bind<NoInfer<SI>>,
    options?: Options & Suited<NoInfer<Kind>, NoInfer<Options>>,
  ): Ref<Options extends { readonly optional: true } ? SO | null : SO>;
}

/** Options of `pipeline`. */
export interface PipelineOptions<Shape extends z.ZodRawShape> {
  /** Refinements are enforced on requests as well. */
  readonly input: z.ZodObject<Shape>;
  readonly description?: string;
  /** Deadline of the whole run. Default 5 minutes; set it explicitly for longer work. */
  readonly deadline?: Duration;
  /**
   * What the record keeps of each step, for a day after the run's end by default: `full` its output, from which a failed run can be
   * resumed, and an input of at most 16 KiB; `outputs` its output; `off` nothing, and no run can be resumed. Default `full`.
   */
  readonly record?: 'full' | RecordLevel;
  /** How OpenAI clients call the pipeline, if its field names do not follow the convention; `false`: not at all. */
  readonly openai?: OpenAiOption;
  /**
   * What happens to a run whose caller disconnects or stops waiting. Default: `continue` if a stage or tool has
   * effects, so that a retry gets the same run; `cancel` if there are only calls of models. Where a response carries
   * the run's id, as with `POST …/runs`, the run continues unless this says `cancel`.
   */
  readonly onLeave?: OnLeave;
  /** Prompts and documents that MCP clients get, in addition to the pipeline as a tool. */
  readonly mcp?: McpOption;
}

/**
 * Defines a pipeline. `trace` is called once, immediately; it receives references instead of values and must not branch
 * on them. Throws `INVALID_PIPELINE` naming the stage and what to change; while Millrace loads the module, the error is
 * collected instead, so that the other definitions are checked too.
 */
export function pipeline<Shape extends z.ZodRawShape, B>(
  name: string,
  options: PipelineOptions<Shape>,
  trace: (trace: Trace<z.output<z.ZodObject<Shape>>>) => B & Synchronous<B>,
): Pipeline<z.input<z.ZodObject<Shape>>, Bound<B>> {
  try {
    return define(name, options, trace);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return broken(String(name), error.details.pipeline === undefined ? named(String(name), error) : error);
  }
}

function named(name: string, error: MillraceError): MillraceError {
  const { code, message, details } = error;
  return new MillraceError(code, `pipeline "${name}": ${message}`, { ...details, pipeline: name }, { cause: error });
}

const OPTIONS: readonly string[] = ['input', 'description', 'deadline', 'record', 'openai', 'onLeave', 'mcp'];

function define<Shape extends z.ZodRawShape, B>(
  name: string,
  options: PipelineOptions<Shape>,
  trace: (trace: Trace<z.output<z.ZodObject<Shape>>>) => B,
): Pipeline<z.input<z.ZodObject<Shape>>, Bound<B>> {
  type Input = z.output<z.ZodObject<Shape>>;
  checkName(name, 'pipeline name');
  if (!(options?.input instanceof z.ZodObject)) {
    throw invalid('input', 'must be a z.object({ … }): a run’s input is an object of fields');
  }
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key));
  if (unknown !== undefined) throw unknownOption('', unknown, OPTIONS);
  if (typeof trace !== 'function') throw invalid(name, 'needs a function that defines its stages');
  const input = strictly(options.input);
  checkJsonValues(input, 'input', 'output');
  const deadlineMs = durationMs(options.deadline ?? '5m', 'deadline');
  const { record = 'full' } = options;
  if (!['full', 'outputs', 'off'].includes(record)) throw invalid('record', 'must be full, outputs or off');
  const { onLeave } = options;
  if (onLeave !== undefined && onLeave !== 'cancel' && onLeave !== 'continue')
    throw invalid('onLeave', `must be "cancel" or "continue", not "${String(onLeave)}"`);
  const mcp = options.mcp === undefined ? undefined : checkedMcp(options.mcp);
  const tracer = new Tracer(name, deadlineMs);
  const { scope } = tracer;
  const bound = {
    stage: tracer.stage.bind(tracer),
    when: tracer.when.bind(tracer),
    each: tracer.each.bind(tracer),
    repeat: tracer.repeat.bind(tracer),
    race: tracer.race.bind(tracer),
    run: tracer.run.bind(tracer),
    input: reference('input', input, scope),
  };
  const result = traced(tracer, () => trace(bound as unknown as Trace<Input>));
  checkSynchronous(name, result);
  if (result === undefined) throw invalid('output', `is undefined: ${RETURN}`);
  const output = toBinding(result, 'output', scope);
  checkOutput(output);
  const reserved = reserveOf({ stages: scope.steps, output });
  if (reserved > deadlineMs) {
    const [last] = [...allSteps({ stages: scope.steps, output })]
      .filter(isStage)
      .sort((a, b) => (b.reserveMs ?? 0) - (a.reserveMs ?? 0));
    throw invalid(
      `${last?.id ?? name}.reserve`,
      `the stages in sequence reserve ${reserved} ms together, more than the deadline, ${deadlineMs} ms`,
    );
  }
  const schema = schemaOf(result);
  const openai = modelFaces(input, schema, options.openai);
  return {
    name,
    description: options.description ?? '',
    plan: seal({
      planVersion: PLAN_VERSION,
      name,
      deadlineMs,
      ...(record !== 'full' && { record }),
      stages: withHeard(withPieces({ stages: scope.steps, output })),
      output,
    }),
    input: input as unknown as z.ZodType<unknown, z.input<z.ZodObject<Shape>>>,
    output: schema as z.ZodType<Bound<B>>,
    inputSchema: jsonSchema(input, 'input'),
    outputSchema: jsonSchema(schema),
    openai,
    ...(onLeave !== undefined && { onLeave }),
    ...(mcp && { mcp }),
    ...(Object.keys(openai).length === 0 && { noModel: whyNoModel(input, schema, options.openai) }),
    code: tracer.code,
    kinds: tracer.kinds,
    authored: tracer.authored,
  };
}

/** The input without unknown fields. `strict()` alone would lose what its author says of it by `.describe()` and `.meta()`. */
function strictly<Shape extends z.ZodRawShape>(input: z.ZodObject<Shape>): z.ZodObject<Shape> {
  const strict = input.strict() as unknown as z.ZodObject<Shape>;
  // Two schemas cannot have one id.
  const { id: _, ...said } = input.meta() ?? {};
  return Object.keys(said).length === 0 ? strict : strict.meta(said);
}

const RETURN = 'return { field: reference, … } from the function of the pipeline';

function traced<T>(tracer: Tracer, trace: () => T): T {
  try {
    return trace();
  } finally {
    tracer.end();
  }
}

function checkOutput(output: Binding): void {
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output);
  if (isObject && !('$ref' in output) && !('$op' in output) && !('$text' in output)) return;
  throw invalid('output', `must be an object: ${RETURN}`);
}
