import { z } from 'zod';
import { isErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { notJson } from '../../pipelines/json-limits.js';
import { idempotencyKeyOf, type StageCall } from '../../pipelines/run/index.js';
import { codeName } from '../../pipelines/stages/index.js';
import type { CodeContext, NamedCode, StreamContext } from '../../pipelines/stages/kind.js';
import { streamedInputs } from '../../pipelines/stream.js';
import { authorStack, placeOf, placeText } from '../../runtime/author-frames.js';
import { untilAborted } from '../../runtime/limited.js';
import { CodeStreams } from '../streams/code-streams.js';
import { check } from './check.js';
import type { Attempt, ServingParts } from './serving.js';
import { unfit } from './stage-output.js';

/** Runs the function of a `code` stage or of a tool. */
export async function runCode(
  parts: Pick<ServingParts, 'code' | 'conform' | 'artifactsOf' | 'sources'>,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
  onConversion: (what: string) => void,
): Promise<JsonObject> {
  const { conform, artifactsOf, sources = process.cwd() } = parts;
  const { signal, streams = new CodeStreams(call, attempt) } = attempt;
  const code = parts.code.get(call.model, call.codeVersion);
  if (!code) {
    throw new MillraceError('CODE_NOT_FOUND', `this worker has no code ${codeName(call.model, call.codeVersion)}`);
  }
  const about = { tenant: call.tenant, signal, onConversion };
  const taken = streamedInputs(code.input);
  // What is read from a channel is not there yet: each entry is checked when it is.
  const missing = Object.fromEntries([...taken.keys()].flatMap((field) => (streams.reads(field) ? [[field, []]] : [])));
  const conformed = await conform(code.input, { ...input, ...missing }, about);
  const checked: Record<string, unknown> = { ...check(code.input, conformed, 'INVALID_INPUT', call.stage) };
  for (const [field, item] of taken) {
    const schema = z.object({ [field]: item });
    const entryOf = async (value: Json) =>
      check(schema, await conform(schema, { [field]: value }, about), 'INVALID_INPUT', call.stage)[field] as Json;
    const list = streams.reads(field) ? undefined : (checked[field] as readonly Json[]);
    checked[field] = streams.source(field, list, entryOf);
  }
  const context: CodeContext & StreamContext<unknown> = {
    signal,
    idempotencyKey: idempotencyKeyOf(call, attempt.run),
    tenant: call.tenant,
    artifacts: artifactsOf(call.tenant, onConversion, signal),
  };
  // Reading it says that the function goes on. A copy of the context, which reads all that is enumerable, does not.
  if (code.entry) Object.defineProperty(context, 'resumeFrom', { enumerable: false, get: () => streams.resumeFrom() });
  // Its media may have taken a while to convert.
  await attempt.mayBegin?.();
  const given = await ofAuthor(signal, sources, async () => ({ made: await code.run(checked, context) }));
  const output = code.entry ? await entriesOf(given.made, code.entry, call, { signal, sources, streams }) : given.made;
  try {
    return check(code.output, output, 'INVALID_OUTPUT', call.stage);
  } catch (error) {
    // A recursive JSON schema reports that something is wrong, but not what.
    const wrong = notJson(output);
    throw wrong ? unfit(wrong, call.stage) : error;
  }
}

interface Yielding {
  readonly signal: AbortSignal;
  readonly sources: string;
  readonly streams: CodeStreams;
}

/** Commits what a function yields, one by one: it goes on when an entry is committed, and is ended with its attempt. */
async function entriesOf(
  made: unknown,
  entry: NonNullable<NamedCode['entry']>,
  { stage }: StageCall,
  { signal, sources, streams }: Yielding,
): Promise<JsonObject> {
  const iterator = iteratorOf(made);
  if (!iterator) {
    const what = `stage "${stage}": its function yields nothing; write it as async function*`;
    throw new MillraceError('INVALID_OUTPUT', what, { stage });
  }
  const schema = z.object({ entry });
  let ended = false;
  try {
    for (;;) {
      const next = await ofAuthor(signal, sources, async () => iterator.next());
      if (next.done) break;
      const wrong = notJson(next.value);
      if (wrong) throw unfit(wrong, stage);
      const { entry: value } = check(schema, { entry: next.value }, 'INVALID_OUTPUT', stage);
      await streams.add(value as Json);
    }
    ended = true;
  } finally {
    // It ends when it next looks up; nothing waits for one that does not.
    if (!ended) (async () => iterator.return?.())().catch(() => undefined);
  }
  return { items: [...streams.finish()] };
}

function iteratorOf(made: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  if (typeof made !== 'object' || made === null) return undefined;
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = made as AsyncIterable<unknown> & Iterable<unknown>;
  return later?.call(made) ?? now?.call(made);
}

/**
 * Runs the author's function; what it throws becomes a failure of the stage with its place in the code. One that ignores its signal does not hold a
 * slot of the worker for ever.
 */
async function ofAuthor<T>(signal: AbortSignal, sources: string, work: () => Promise<T>): Promise<T> {
  try {
    return await untilAborted(signal, work);
  } catch (error) {
    if (signal.aborted) throw error;
    throw codeError(error, sources);
  }
}

/** What a function has thrown, with its place in the author's code. */
function codeError(error: unknown, sources: string): MillraceError {
  const place = placeOf(error);
  const where = { ...(place && { at: placeText(place, sources) }), stack: authorStack(error, sources) };
  if (error instanceof MillraceError) {
    return new MillraceError(error.code, error.message, { ...error.details, ...where }, { cause: error });
  }
  // A function may throw an error with a `code` of the error table to control retries.
  const own = (error as { code?: unknown } | null)?.code;
  return new MillraceError(isErrorCode(own) ? own : 'CODE_FAILED', messageOf(error), where, { cause: error });
}
