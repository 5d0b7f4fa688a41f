import type { JsonObject } from '../../pipelines/json.js';
import { resultText, type StageCall, type WholeResult } from '../../pipelines/run/index.js';
import type { CodeArtifacts } from '../../pipelines/stages/kind.js';

/** Where long results are stored: artifacts of one tenant. */
export type ResultTexts = Pick<CodeArtifacts, 'read' | 'write'>;

const TYPE = 'text/plain';

/**
 * The output of a tool's call: as it is if its result fits, otherwise empty, with the result stored as a text artifact.
 * This is done where the result arises, so that one of many megabytes reaches the model too. Throws as `write` does.
 */
export async function fitted(
  output: JsonObject,
  { fit }: Pick<StageCall, 'fit'>,
  texts: () => ResultTexts,
): Promise<{ readonly output: JsonObject; readonly whole?: WholeResult }> {
  if (!fit) return { output };
  const text = resultText(fit.field === undefined ? output : (output[fit.field] ?? null));
  if (text.length <= fit.characters) return { output };
  return { output: {}, whole: await stored(texts(), text, fit.characters) };
}

/** Stores a text. Its beginning does not end inside a surrogate pair. */
export async function stored(texts: ResultTexts, text: string, characters: number): Promise<WholeResult> {
  const artifact = await texts.write(Buffer.from(text), { type: TYPE });
  return { artifact, characters: text.length, beginning: piece(text, 0, characters) };
}

/** Characters of a text, without half a surrogate pair at either end. */
export function piece(text: string, from: number, to: number): string {
  const isLow = (at: number) => /[\uDC00-\uDFFF]/.test(text[at] ?? '');
  return text.slice(isLow(from) ? from + 1 : from, isLow(to) ? to - 1 : to);
}
