import type { z } from 'zod';
import { fitted, resultKind } from '../../activities/results/index.js';
import type { Attempt } from '../../activities/stage/stage-runner.js';
import { produceText } from '../../activities/streams/index.js';
import { toolSearchKind } from '../../activities/tool-search/index.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ChannelRef, RunContext, StageCall, StageOutcome } from '../../pipelines/run/index.js';
import type { CodeArtifacts } from '../../pipelines/stages/kind.js';
import { MemoryChannelLog, readChannel } from '../../stores/channels/index.js';
import { placedAt } from '../../testing/rows.js';
import { MemoryTexts } from '../../testing/texts.js';
import { wordEmbedder } from '../../testing/words.js';
import { runScript } from './scripted-model.js';

/** A run's second argument for a pipeline of `code` stages. */
export const contextOf = ({ plan }: Pipeline, queue = 'test'): RunContext => ({
  plan,
  tenant: 'default',
  placement: placedAt(plan, { connector: 'code', device: 'worker', queue }),
});

const ENDED = { cache: 'off', queueMs: 0, runMs: 0 } as const;

/** No stage here uses media. */
const none = {} as CodeArtifacts;

/** Long results of tools, which outlive a run here. */
const texts = new MemoryTexts();
const OF_WORKERS = new Map([
  ['result', resultKind((tenant) => texts.of(tenant))],
  ['tool-search', toolSearchKind(() => wordEmbedder)],
]);

function noMedia(): never {
  throw new Error('no stage here uses media');
}

/**
 * Runs `code` stages and keeps the order in which they started and ended. What a scripted agent says is streamed; functions read it.
 */
export class CodeRunner {
  readonly streams = true;
  readonly events: string[] = [];
  readonly #pipeline: Pipeline;
  readonly #channels = new MemoryChannelLog();

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  async run(input: JsonObject, call: StageCall, { attempt, signal, run }: Attempt): Promise<StageOutcome> {
    if (call.kind === 'chat') {
      const serve = async () => ({
        ...(await runScript(call, input)),
        endpoint: 'script',
        device: '',
        ...ENDED,
        attempt,
      });
      const about = { run, call, signal, onDelta: () => undefined };
      return call.writes ? await produceText({ channels: this.#channels }, about, serve) : await serve();
    }
    const own = OF_WORKERS.get(call.kind);
    if (own) {
      const context = { signal, idempotencyKey: '', audio: { read: noMedia, write: noMedia } };
      const output = await own({ model: call.model, with: call.with, input, tenant: call.tenant }, context);
      return { output, endpoint: 'worker', device: '', attempt, ...ENDED };
    }
    const code = this.#pipeline.code.get(call.model);
    if (!code) throw new MillraceError('CODE_NOT_FOUND', call.model);
    const { path = call.stage, tenant } = call;
    // The digest of the arguments at the end of a tool call's path says nothing about order.
    const name = path.includes('/turn-') ? path.replace(/:[0-9a-f]{12}$/, '') : call.stage;
    this.events.push(`${name} starts`);
    try {
      const output = (await code.run(this.#given(code.input, input, call, { run, signal }), {
        signal,
        idempotencyKey: path,
        tenant,
        artifacts: none,
      })) as JsonObject;
      this.events.push(`${name} ends`);
      const fits = await fitted(output, call, () => texts.of(tenant));
      return { ...fits, endpoint: 'worker', device: '', attempt, ...ENDED };
    } catch (error) {
      this.events.push(`${name} ${signal.aborted ? 'aborted' : 'fails'}`);
      throw error;
    }
  }

  /** A function's input, with the streams that it reads; one that is collected is a list. */
  #given(schema: z.ZodType, input: JsonObject, { reads }: StageCall, at: Pick<Attempt, 'run' | 'signal'>): JsonObject {
    if (reads) {
      const streams = Object.entries(reads).map(([field, ref]) => [field, this.#read(ref, at)]);
      return { ...input, ...Object.fromEntries(streams) };
    }
    const checked = schema.safeParse(input);
    if (!checked.success) throw new MillraceError('INVALID_INPUT', checked.error.issues[0]?.message ?? '');
    return checked.data as JsonObject;
  }

  async *#read({ path, of }: ChannelRef, { run, signal }: Pick<Attempt, 'run' | 'signal'>): AsyncGenerator<string> {
    for await (const { value } of readChannel(this.#channels, { run, path, of }, { signal }))
      yield String(value).trim();
  }
}
