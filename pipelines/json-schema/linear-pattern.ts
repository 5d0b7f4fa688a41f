import { RE2JS } from 're2js';
import { messageOf } from '../errors.js';
import { keepNewest } from '../keep-newest.js';
import { type Alternative, alternativesOf, withoutNeedlessEscapes } from './pattern-syntax.js';

/** An invalid pattern, or one that cannot be matched in linear time; the message says why. */
export class PatternError extends Error {}

/** A regular expression (ECMA-262, `u`) that is matched in time linear in the text, whatever the pattern. */
export interface LinearPattern {
  /** Instructions of its program: the maximum cost of a match for each character. */
  readonly weight: number;
  test(text: string): boolean;
}

/** Maximum weight: twice that of a long paragraph, `^.{1,500}$`. Such a program takes some milliseconds to build. */
const MOST_WEIGHT = 1_500;
/** Maximum length, in UTF-16 units: the pattern of an ISO date and time has 300. */
const LONGEST = 1_000;

/**
 * Reads a pattern. Look-aheads are supported after a leading `^`, as in `^(?=.*\d).{8,}$`: each is a separate pattern.
 * Throws `PatternError` for other look-arounds, back references, and patterns that are too long or too heavy.
 */
export function linearPattern(source: string): LinearPattern {
  if (source.length > LONGEST) throw new PatternError(`is longer than ${LONGEST} characters`);
  const pattern = withoutNeedlessEscapes(source);
  expectRegExp(pattern);
  const alternatives = alternativesOf(pattern);
  if (typeof alternatives === 'string') throw new PatternError(alternatives);
  const weight = alternatives.reduce((sum, each) => sum + each.weight, 0);
  if (weight > MOST_WEIGHT) {
    throw new PatternError(`repeats too much: written out it has more than ${MOST_WEIGHT} parts`);
  }
  for (const each of alternatives) engineFor(each);
  return {
    weight,
    test: (text) => alternatives.every((each) => matches(each, text) !== each.forbidden),
  };
}

/** Rejects what JavaScript rejects, even if another dialect accepts it. The pattern is only parsed, never run. */
function expectRegExp(pattern: string): void {
  try {
    new RegExp(pattern, 'u');
  } catch (error) {
    throw new PatternError(`is not a regular expression: ${messageOf(error)}`);
  }
}

interface Engine {
  readonly compiled: RE2JS;
  /** Upper bound of what it has cached from the texts matched, in units of some 8 bytes. */
  kept: number;
}

/** Maximum number of cached engines, and maximum cache of one before it is rebuilt: 64 MiB for all of them. */
const MOST_ENGINES = 64;
const MOST_KEPT = 128 * 1_024;
/** Size of a state of an engine's automaton besides its instructions. */
const STATE = 20;

const engines = new Map<string, Engine>();

function engineFor({ translated }: Alternative): Engine {
  const known = engines.get(translated);
  engines.delete(translated);
  const engine = known ?? { compiled: compiled(translated), kept: 0 };
  engines.set(translated, engine);
  keepNewest(engines, MOST_ENGINES);
  return engine;
}

function compiled(translated: string): RE2JS {
  try {
    return RE2JS.compile(translated);
  } catch (error) {
    throw new PatternError(`cannot be matched in linear time: ${messageOf(error)}`);
  }
}

function matches(alternative: Alternative, text: string): boolean {
  const engine = engineFor(alternative);
  engine.kept += text.length * (alternative.weight + STATE);
  if (engine.kept > MOST_KEPT) engines.delete(alternative.translated);
  return engine.compiled.test(text);
}
