import type { Json, JsonObject } from '../json.js';
import type { LinearPattern } from './linear-pattern.js';
import type { Node, Test } from './node.js';

/** What a keyword makes of its value; nothing where it says nothing of values. */
export type Keyword = (of: { given: Json; schema: JsonObject; at: string; reader: KeywordReader }) => Test | undefined;

/** Reads the parts of a keyword's value. Everything throws `SchemaError` where the part is not what it has to be. */
export interface KeywordReader {
  refuse(at: string, why: string): never;
  /** A schema within. */
  schema(given: Json, at: string): Node;
  /** Schemas by name. */
  schemas(given: Json, at: string): ReadonlyMap<string, Node>;
  /** @param some whether there must be one */
  list(given: Json, at: string, some?: boolean): readonly Node[];
  object(given: Json, at: string): JsonObject;
  names(given: Json, at: string): readonly string[];
  /** A pattern that is matched in linear time. */
  pattern(given: Json, at: string): LinearPattern;
  /** What a reference points to, once all is read. */
  reference(given: Json, at: string): () => Node;
  /** Schemas that look at the same value as the one that is being read. */
  inPlace(...nodes: readonly Node[]): void;
  /** The schema has defaults. */
  fills(): void;
  countValues(values: readonly Json[]): void;
}
