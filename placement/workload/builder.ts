import { kindNamed, traitsOf } from '../../pipelines/stages/index.js';
import { type PipelineShape, type StageShape, UNSTATED } from './shape.js';

/** Kinds whose servers are services elsewhere, not models on devices. */
const ELSEWHERE: ReadonlySet<string> = new Set(['http', 'a2a']);

/** Description of a stage when it is added. */
export interface AddedStage {
  readonly id: string;
  readonly kind: string;
  readonly model: string;
  /** Sources that it waits for: ids of stages or of steps around stages. */
  readonly after: readonly string[];
  /** Pools of embedders that it calls first: of its cache, of its index. */
  readonly embedders: readonly string[];
  /** Pool that its cache asks about a near text, behind the embedder. */
  readonly verifier?: string | undefined;
  readonly attempts?: number;
  /** The stage whose stream it reads while it is made. */
  readonly streamFrom?: string | undefined;
}

/**
 * Collects stages in a valid execution order. Stages that the worker serves are not placed: a stage that waits for one
 * waits for that one's predecessors.
 */
export class ShapeBuilder {
  readonly #stages: StageShape[] = [];
  readonly #assumptions: string[] = [];
  /** The stages that must end before a source has its value. */
  readonly #endsOf = new Map<string, readonly number[]>();
  /** Stages outside the devices that read the whole of what is before them: theirs is there after its end. */
  readonly #whole = new Set<string>();

  assume(assumption: string): void {
    this.#assumptions.push(assumption);
  }

  endsOf(sources: readonly string[]): readonly number[] {
    return [...new Set(sources.flatMap((source) => this.#endsOf.get(source) ?? []))].sort((a, b) => a - b);
  }

  /** Declares that a source has its value when these stages have ended. */
  define(source: string, ends: readonly number[]): void {
    this.#endsOf.set(source, ends);
  }

  /** All stages added since, as the ends of a step around them. */
  since(count: number): readonly number[] {
    return this.#stages.slice(count).map((_, i) => count + i);
  }

  get count(): number {
    return this.#stages.length;
  }

  add({ id, kind, model, after, embedders, verifier, attempts, streamFrom }: AddedStage): void {
    let waits = this.endsOf(after);
    for (const embedder of embedders) {
      // The embedding call of a cache or an index is a pool call like any other.
      waits = [this.#push({ ...UNSTATED, id: `${id}.embed`, model: embedder, after: waits })];
    }
    if (verifier !== undefined) {
      waits = [this.#push({ ...UNSTATED, id: `${id}.verify`, model: verifier, after: waits })];
      this.assume(`${id}: every run has a near text for its cache’s verifier (--assume ${id}.verify.share=0.3)`);
    }
    // An agent’s calls have a kind of their own.
    const calls: string = kindNamed(kind)?.calls ?? kind;
    if (traitsOf({ kind: calls })?.servedBy === 'pool' && !ELSEWHERE.has(kind)) {
      const from = this.#makerOf(streamFrom, after, waits);
      if (from !== undefined) {
        const { pieceTokens } = UNSTATED;
        this.assume(
          `${id} reads ${streamFrom} in pieces of ${pieceTokens} tokens, sentences (--assume ${id}.pieceTokens=${pieceTokens})`,
        );
      }
      if (calls !== kind) {
        this.assume(`${id} (${kind}): one model call a run (--assume ${id}.calls=4), and its tools take no time`);
      }
      waits = [
        this.#push({
          ...UNSTATED,
          id,
          model,
          after: waits,
          ...(attempts !== undefined && { attempts }),
          ...(from !== undefined && { streamFrom: from }),
        }),
      ];
    } else {
      if (this.#readsWhole(streamFrom, after)) this.#whole.add(id);
      this.assume(`${id} (${kind}) runs outside the devices and takes no time`);
    }
    this.define(id, waits);
  }

  /**
   * The placed stage that makes a stream, if the reader can read it while it is made: it waits for the stage itself, not for
   * an embedding of the whole, and nothing between them reads the whole.
   */
  #makerOf(source: string | undefined, after: readonly string[], waits: readonly number[]): number | undefined {
    if (source === undefined || this.#readsWhole(source, after)) return undefined;
    const [maker, ...others] = this.#endsOf.get(source) ?? [];
    return maker !== undefined && others.length === 0 && waits.includes(maker) ? maker : undefined;
  }

  /** Whether a reader of `source` waits for the end of what makes it: a function in between, or its other inputs do. */
  #readsWhole(source: string | undefined, after: readonly string[]): boolean {
    if (source === undefined || this.#whole.has(source)) return true;
    const makers = this.#endsOf.get(source) ?? [];
    return after.some((other) => other !== source && this.endsOf([other]).some((end) => makers.includes(end)));
  }

  #push(stage: StageShape): number {
    return this.#stages.push(stage) - 1;
  }

  build(name: string): PipelineShape {
    return { name, stages: this.#stages, assumptions: this.#assumptions };
  }
}
