import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import { speakerOf } from '../../pipelines/plan/index.js';
import type { RunEvent, StageAudio, StageEvent } from '../../pipelines/run/index.js';
import { textTensor } from '../../protocols/open-inference/index.js';
import type { GatewayDeps } from '../deps.js';
import type { TensorField } from './fields.js';
import type { InferCall } from './infer.js';
import type { ParameterValues } from './input-tensor.js';
import type { ServedModel } from './models.js';
import { type OutputTensor, writeTensors } from './write-tensors.js';

/** The binding of a stage's text in a plan's output: `answer.text`. */
const TEXT_OF_STAGE = /^([^.]+)\.text$/;

/** A piece of an output, and the parameters of its response. */
export interface Delta {
  readonly tensor: OutputTensor;
  readonly parameters: ParameterValues;
}

/** A requested output that is made piece by piece, with the stage that makes it. */
interface DeltaField {
  readonly stage: string;
  readonly field: TensorField;
}

/** The pieces of a request's outputs as its run makes them: text of one stage, sentences of its audio. */
export class Deltas {
  readonly #deps: Pick<GatewayDeps, 'artifacts' | 'encoder' | 'limits'>;
  readonly #call: InferCall;
  readonly #fields: readonly DeltaField[];
  /** Number of the next piece of each stage’s audio: one that comes again is not sent again. */
  readonly #next = new Map<string, number>();
  /** The last attempt of each stage; those of a fallback, which counts its own from 1, follow. */
  readonly #attempts = new Map<string, number>();

  constructor(deps: Pick<GatewayDeps, 'artifacts' | 'encoder' | 'limits'>, call: InferCall) {
    this.#deps = deps;
    this.#call = call;
    this.#fields = deltaFields(call);
  }

  /** The pieces that an event brings. Audio that cannot be read is left out: the last response has all of it. */
  async of(event: RunEvent): Promise<readonly Delta[]> {
    if (event.type === 'stage.started') this.#attempt(event, 1);
    if (event.type === 'stage.delta') {
      const attempt = this.#attempt(event);
      const { text } = event;
      return this.#of(event.path, 'text').map(({ name }) => ({
        tensor: { ...textTensor(name, [1], text), parameters: {}, files: false },
        parameters: { attempt },
      }));
    }
    if (event.type !== 'stage.audio') return [];
    const fields = this.#of(event.path, 'audio');
    if (fields.length === 0 || event.number < (this.#next.get(event.path) ?? 0)) return [];
    this.#next.set(event.path, event.number + 1);
    return await this.#spoken(fields, event).catch(() => []);
  }

  #attempt({ path, attempt }: StageEvent, more = 0): number {
    const now = Math.max((this.#attempts.get(path) ?? 0) + more, attempt);
    this.#attempts.set(path, now);
    return now;
  }

  #of(path: string, holds: TensorField['holds']): readonly TensorField[] {
    return this.#fields.flatMap(({ stage, field }) => (stage === path && field.holds === holds ? [field] : []));
  }

  async #spoken(fields: readonly TensorField[], event: StageAudio): Promise<readonly Delta[]> {
    const { artifacts: store, encoder, limits } = this.#deps;
    const { caller, parameters, outputs, gone, take } = this.#call;
    const { number, text, at, audio } = event;
    const attempt = this.#attempt(event);
    const output = Object.fromEntries(fields.map(({ name }) => [name, audio])) as unknown as JsonObject;
    const tensors = await writeTensors(fields, output, {
      store,
      encoder,
      tenant: caller.tenant,
      maxBytes: limits.maxAudioBytes,
      parameters,
      requested: outputs,
      signal: gone,
      take,
    });
    return tensors.map((tensor) => ({ tensor, parameters: { attempt, number, text, at } }));
  }
}

function deltaFields({ model, outputs: requested }: InferCall): readonly DeltaField[] {
  return model.outputs.flatMap((field) => {
    if (field.list || (requested.size > 0 && !requested.has(field.name))) return [];
    const stage = stageOf(model, field);
    return stage === undefined ? [] : [{ stage, field }];
  });
}

/** The stage whose text or audio a field is, unchanged. */
function stageOf({ pipeline: { plan } }: ServedModel, { name, holds }: TensorField): string | undefined {
  if (holds === 'audio') return speakerOf(plan, name)?.id;
  const binding = isJsonObject(plan.output) ? plan.output[name] : undefined;
  const reference = isJsonObject(binding) && typeof binding.$ref === 'string' ? binding.$ref : '';
  const [, stage] = TEXT_OF_STAGE.exec(reference) ?? [];
  return holds === 'text' && stage !== 'input' ? stage : undefined;
}
