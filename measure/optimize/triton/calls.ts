import { type Example, exampleOf, typicalOf } from '../../profiling/examples.js';
import type { SampleAudio } from '../../profiling/sample-audio.js';

/** Calls that a load is made of. */
export interface SearchedCalls {
  readonly example: Example;
  /** In the unit of the kind's variable. */
  readonly size: number;
  readonly audio: SampleAudio;
}

/** Calls of a kind, all of one size, by default its typical one; undefined for a kind whose calls only a stage describes. */
export function searchedCalls(kind: string, audio: SampleAudio, size?: number): SearchedCalls | undefined {
  const example = kind === 'infer' ? undefined : exampleOf(kind, {}, audio);
  return example && { example, size: size ?? typicalOf(example.sizes), audio };
}
