import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { ChannelLog } from '../../stores/channels/index.js';
import { AttemptText } from './attempt-text.js';
import type { Opening } from './opening.js';
import { Diverged, Revised } from './streamed-text.js';
import { TextStreams } from './text-streams.js';

export interface ProducingParts {
  readonly channels: ChannelLog;
  readonly clock?: Clock | undefined;
}

/** What an attempt of a producer gets. */
export interface Producing {
  readonly signal: AbortSignal;
  /** Called with each part of the attempt's own text. */
  onText(delta: string): void;
  /** The beginning that readers have; empty for a first attempt. */
  readonly committed: string;
  /** The attempt continues the beginning: it does not repeat it. */
  continues(): void;
}

interface Output {
  readonly output: JsonObject;
}

interface About {
  readonly run: string;
  readonly call: StageCall;
  readonly signal: AbortSignal;
  /** Receives the answer's text as readers get it. */
  readonly onDelta: (text: string) => void;
  /** Called when more of it is passed on. */
  readonly onEntry?: (() => void) | undefined;
  /** How long its streams are waited for. Absent: as by a first attempt. */
  readonly opening?: Omit<Opening, 'signal'>;
}

/**
 * Runs an attempt whose text other stages read while it is made. What an earlier attempt has committed is not made, and
 * not read, again: an attempt that finds a finished stream returns its outcome, any other goes on behind it. If it cannot, the call says
 * what follows: the stream ends; or it starts over with the attempt's own text, if no reader has made anything of what is committed;
 * or `STREAM_CUT` is thrown, as where it cannot start over. A turn of an agent goes on in the agent's streams, and ends them if it calls no
 * tool.
 */
export async function produceText<T extends Output>(
  { channels, clock = REAL_CLOCK }: ProducingParts,
  { run, call, signal, onDelta, onEntry, opening }: About,
  serve: (producing: Producing) => Promise<T>,
): Promise<T> {
  const { own, release } = linkedAbort(signal);
  const fail = (error: unknown) => own.abort(error);
  let text: AttemptText | undefined;
  let streams: TextStreams | undefined;
  try {
    const opens = { ...opening, signal };
    streams = await TextStreams.open(channels, run, call, { clock, signal, onEntry, fail, opens });
    const { committed, over } = streams;
    const before = over?.outcome as T | undefined;
    // The stream of another channel may be behind.
    streams.complete(before === undefined ? committed : textOf(before));
    if (before !== undefined) {
      await streams.end(over?.as ?? 'done', before as unknown as Json);
      return before;
    }
    const mayStartOver = call.onCut === 'restart' && call.turn === undefined;
    const attempt = new AttemptText(streams, { signal: own.signal, mayStartOver, onDelta, fail });
    text = attempt;
    const atOnce = !isWhole(call);
    try {
      const served = await serve({
        signal: own.signal,
        committed,
        continues: () => attempt.continues(),
        onText(delta) {
          if (atOnce && !own.signal.aborted) attempt.push(delta);
        },
      });
      const outcome = { ...served, output: { ...served.output, text: await attempt.end(textOf(served)) } };
      if (call.turn && callsTools(served)) await attempt.streams.endTurn();
      else await attempt.streams.end('done', outcome as unknown as Json);
      return outcome;
    } catch (error) {
      const why = own.signal.aborted && !signal.aborted ? own.signal.reason : error;
      if (!(why instanceof Diverged)) throw why;
      if (call.onCut !== 'end') throw cut(call, why, attempt.passed);
      // Readers keep what they have; the channels hold no more of it.
      const outcome = cutOutcome<T>(attempt.passed);
      await streams.end('cut', outcome as unknown as Json);
      return outcome;
    }
  } finally {
    await text?.close();
    streams?.close();
    release();
  }
}

const textOf = ({ output }: Output): string => (typeof output.text === 'string' ? output.text : '');

const callsTools = ({ output: { toolCalls } }: Output): boolean => Array.isArray(toolCalls) && toolCalls.length > 0;

/**
 * Whether nothing may be passed on before the answer is whole: it may be tool calls, or must fit a schema. What an agent writes beside its
 * calls is said all the same, and what may itself be a call is held back by the connector.
 */
function isWhole({ with: options, turn }: StageCall): boolean {
  const mayCall = Array.isArray(options.tools) && options.tools.length > 0;
  return options.schema !== undefined || (mayCall && turn === undefined);
}

const cutOutcome = <T extends Output>(text: string): T =>
  ({ output: { text, finish: 'stop' }, endpoint: '', device: '', cache: 'off' }) as unknown as T;

function cut({ stage }: StageCall, why: Diverged, passed: string): MillraceError {
  const read = `after ${passed.length} characters that have been read`;
  const message =
    why instanceof Revised
      ? `the server changed its answer ${read}`
      : `the answer broke off ${read}, and another attempt gave another answer`;
  return new MillraceError('STREAM_CUT', message, { stage });
}
