import type { Json, JsonObject } from '../json.js';
import type { LinearPattern } from './linear-pattern.js';
import type { Node, Test } from './node.js';

/** Compiles a keyword's value; undefined if the keyword does not constrain values. */
export type Keyword = (of: { given: Json; schema: JsonObject; at: string; reader: KeywordReader }) => Test | undefined;

/** Reads the parts of a keyword's value. All methods throw `SchemaError` for an invalid part. */
export interface KeywordReader {
  refuse(at: string, why: string): never;
  /** A nested schema. */
  schema(given: Json, at: string): Node;
  /** Schemas by name. */
  schemas(given: Json, at: string): ReadonlyMap<string, Node>;
  /** @param some whether the list must not be empty */
  list(given: Json, at: string, some?: boolean): readonly Node[];
  object(given: Json, at: string): JsonObject;
  names(given: Json, at: string): readonly string[];
  /** A pattern that is matched in linear time. */
  pattern(given: Json, at: string): LinearPattern;
  /** The target of a reference, available once everything has been read. */
  reference(given: Json, at: string): () => Node;
  /** Schemas applied to the same value as the one being read. */
  inPlace(...nodes: readonly Node[]): void;
  /** The schema has defaults. */
  fills(): void;
  countValues(values: readonly Json[]): void;
}
