import type { Json } from '../../pipelines/json.js';
import type { Example } from './evaluation.js';
import type { Sample } from './time-variants.js';
import type { Family, Variant } from './variants.js';

/** The model that is optimised. */
export interface Subject {
  /** The pool's name. */
  readonly model: string;
  readonly family: Family;
  /** Its weights: a file, for `transcribe` a folder, or how they are made of a file of the packages with originals. */
  readonly weights: string | { readonly op: string; readonly package: string };
  /** Of an encoder: its tokenizer.json. */
  readonly tokenizer?: string;
  readonly examples: readonly Example[];
}

/** A variant with what was seen of it. */
export interface Tried {
  readonly variant: Variant;
  /** Its file or folder. */
  readonly weights: string;
  /** Answers to the questions, in their order. */
  readonly outputs: readonly Json[];
  /** Of each answer, in the same order: texts, seconds of audio, or tokens. */
  readonly units: readonly number[];
  readonly samples: readonly Sample[];
  readonly memoryMiB: number;
}
